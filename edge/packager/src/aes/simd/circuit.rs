//! The S-box as gates: 32 products and 81 sums, without the four that only add the constant 0x63.
//!
//! The decomposition is that of J. Boyar and R. Peralta, "A small depth-16 circuit for the AES S-box" (2011), after
//! D. Canright's tower of fields: a linear layer gives the terms of GF(2^4), there is one inversion in it, and a second
//! linear layer goes back and applies the affine map. Names of wires: `y` the upper layer, `t` the inversion, `z` the
//! products, `b` the lower layer.

use super::vector::Vector;

/// SubBytes of 128 bytes whose bits lie in eight planes, the least significant first; 0x63 is not added, the round keys
/// have it already.
#[inline(always)]
pub fn sub_bytes<V: Vector>(planes: [V; 8]) -> [V; 8] {
    let [x7, x6, x5, x4, x3, x2, x1, x0] = planes;
    let add = V::xor;
    let mul = V::and;

    // Upper linear layer.
    let y14 = add(x3, x5);
    let y13 = add(x0, x6);
    let y9 = add(x0, x3);
    let y8 = add(x0, x5);
    let y0 = add(x1, x2);
    let y1 = add(y0, x7);
    let y4 = add(y1, x3);
    let y12 = add(y13, y14);
    let y2 = add(y1, x0);
    let y5 = add(y1, x6);
    let y3 = add(y5, y8);
    let y22 = add(x4, y12);
    let y15 = add(y22, x5);
    let y20 = add(y22, x1);
    let y6 = add(y15, x7);
    let y10 = add(y15, y0);
    let y11 = add(y20, y9);
    let y7 = add(x7, y11);
    let y17 = add(y10, y11);
    let y19 = add(y10, y8);
    let y16 = add(y0, y11);
    let y21 = add(y13, y16);
    let y18 = add(x0, y16);

    // The norm in GF(2^4).
    let t2 = mul(y12, y15);
    let t4 = add(mul(y3, y6), t2);
    let t6 = add(mul(y4, x7), t2);
    let t7 = mul(y13, y16);
    let t9 = add(mul(y5, y1), t7);
    let t11 = add(mul(y2, y7), t7);
    let t12 = mul(y9, y11);
    let t14 = add(mul(y14, y17), t12);
    let t16 = add(mul(y8, y10), t12);
    let t21 = add(add(t4, t14), y20);
    let t22 = add(add(t6, t16), y19);
    let t23 = add(add(t9, t14), y21);
    let t24 = add(add(t11, t16), y18);

    // Its inverse.
    let t25 = add(t21, t22);
    let t26 = mul(t21, t23);
    let t27 = add(t24, t26);
    let t29 = add(mul(t25, t27), t22);
    let t31 = add(t22, t26);
    let t33 = add(mul(t31, add(t23, t24)), t24);
    let t34 = add(t23, t33);
    let t35 = add(t27, t33);
    let t36 = mul(t24, t35);
    let t37 = add(t36, t34);
    let t38 = add(t27, t36);
    let t40 = add(t25, mul(t29, t38));
    let t41 = add(t40, t37);
    let t42 = add(t29, t33);
    let t43 = add(t29, t40);
    let t44 = add(t33, t37);
    let t45 = add(t42, t41);

    // Times the conjugate.
    let z0 = mul(t44, y15);
    let z1 = mul(t37, y6);
    let z2 = mul(t33, x7);
    let z3 = mul(t43, y16);
    let z4 = mul(t40, y1);
    let z5 = mul(t29, y7);
    let z6 = mul(t42, y11);
    let z7 = mul(t45, y17);
    let z8 = mul(t41, y10);
    let z9 = mul(t44, y12);
    let z10 = mul(t37, y3);
    let z11 = mul(t33, y4);
    let z12 = mul(t43, y13);
    let z13 = mul(t40, y5);
    let z14 = mul(t29, y2);
    let z15 = mul(t42, y9);
    let z16 = mul(t45, y14);
    let z17 = mul(t41, y8);

    // Lower linear layer.
    let b0 = add(z15, z16);
    let b1 = add(z10, z11);
    let b2 = add(z5, z13);
    let b3 = add(z9, z10);
    let b4 = add(z2, z12);
    let b5 = add(z2, z5);
    let b6 = add(z7, z8);
    let b7 = add(z0, z3);
    let b8 = add(z6, z7);
    let b9 = add(z16, z17);
    let b10 = add(z12, b2);
    let b11 = add(b4, b7);
    let b12 = add(z4, b0);
    let b13 = add(z3, b8);
    let b14 = add(b0, b11);
    let b15 = add(z14, b11);
    let b16 = add(b6, b12);
    let b17 = add(b3, b12);
    let b18 = add(z4, b13);
    let b19 = add(b15, b16);
    let b20 = add(z1, b17);
    let s0 = add(b13, b17);
    let s6 = add(b10, b16);
    let s7 = add(b2, b14);
    let b21 = add(b18, b19);
    let s3 = add(b7, b20);
    let s4 = add(b5, b20);
    let s5 = add(b1, b19);
    let s1 = add(b18, s3);
    let s2 = add(b9, b21);
    [s7, s6, s5, s4, s3, s2, s1, s0]
}
