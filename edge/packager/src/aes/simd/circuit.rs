//! The S-box as gates: 34 products and 94 sums, at most 16 of them one after the other; the four of the sums that would
//! only add the constant 0x63 are left out.
//!
//! The decomposition is that of J. Boyar and R. Peralta, "A small depth-16 circuit for the AES S-box" (2011), after
//! D. Canright's tower of fields: a linear layer gives the terms of GF(2^4), there is one inversion in it, and a second
//! linear layer goes back and applies the affine map. Wires have the names of the paper. Circuits with fewer gates are deeper,
//! and slower here: what is waited for is the result of the gate before, not a free gate.

use super::vector::Vector;

/// SubBytes of 128 bytes whose bits lie in eight planes, in the order of [`BITS`](super::bitslice::BITS); 0x63 is not added, the
/// round keys have it already.
#[inline(always)]
pub fn sub_bytes<V: Vector>(planes: [V; 8]) -> [V; 8] {
    let [u2, u4, u7, u6, u3, u1, u0, u5] = planes;
    let (add, mul) = (V::xor, V::and);

    // Upper linear layer.
    let t1 = add(u0, u3);
    let t2 = add(u0, u5);
    let t3 = add(u0, u6);
    let t4 = add(u3, u5);
    let t5 = add(u4, u6);
    let t6 = add(t1, t5);
    let t7 = add(u1, u2);
    let t8 = add(u7, t6);
    let t9 = add(u7, t7);
    let t10 = add(t6, t7);
    let t11 = add(u1, u5);
    let t12 = add(u2, u5);
    let t13 = add(t3, t4);
    let t14 = add(t6, t11);
    let t15 = add(t5, t11);
    let t16 = add(t5, t12);
    let t17 = add(t9, t16);
    let t18 = add(u3, u7);
    let t19 = add(t7, t18);
    let t20 = add(t1, t19);
    let t21 = add(u6, u7);
    let t22 = add(t7, t21);
    let t23 = add(t2, t22);
    let t24 = add(t2, t10);
    let t25 = add(t20, t17);
    let t26 = add(t3, t16);
    let t27 = add(t1, t12);

    // The norm in GF(2^4).
    let m1 = mul(t13, t6);
    let m2 = mul(t23, t8);
    let m3 = add(t14, m1);
    let m4 = mul(t19, u7);
    let m5 = add(m4, m1);
    let m6 = mul(t3, t16);
    let m7 = mul(t22, t9);
    let m8 = add(t26, m6);
    let m9 = mul(t20, t17);
    let m10 = add(m9, m6);
    let m11 = mul(t1, t15);
    let m12 = mul(t4, t27);
    let m13 = add(m12, m11);
    let m14 = mul(t2, t10);
    let m15 = add(m14, m11);
    let m16 = add(m3, m2);
    let m17 = add(m5, t24);
    let m18 = add(m8, m7);
    let m19 = add(m10, m15);
    let m20 = add(m16, m13);
    let m21 = add(m17, m15);
    let m22 = add(m18, m13);
    let m23 = add(m19, t25);

    // Its inverse.
    let m24 = add(m22, m23);
    let m25 = mul(m22, m20);
    let m26 = add(m21, m25);
    let m27 = add(m20, m21);
    let m28 = add(m23, m25);
    let m29 = mul(m28, m27);
    let m30 = mul(m26, m24);
    let m31 = mul(m20, m23);
    let m32 = mul(m27, m31);
    let m33 = add(m27, m25);
    let m34 = mul(m21, m22);
    let m35 = mul(m24, m34);
    let m36 = add(m24, m25);
    let m37 = add(m21, m29);
    let m38 = add(m32, m33);
    let m39 = add(m23, m30);
    let m40 = add(m35, m36);
    let m41 = add(m38, m40);
    let m42 = add(m37, m39);
    let m43 = add(m37, m38);
    let m44 = add(m39, m40);
    let m45 = add(m42, m41);

    // Times the conjugate.
    let m46 = mul(m44, t6);
    let m47 = mul(m40, t8);
    let m48 = mul(m39, u7);
    let m49 = mul(m43, t16);
    let m50 = mul(m38, t9);
    let m51 = mul(m37, t17);
    let m52 = mul(m42, t15);
    let m53 = mul(m45, t27);
    let m54 = mul(m41, t10);
    let m55 = mul(m44, t13);
    let m56 = mul(m40, t23);
    let m57 = mul(m39, t19);
    let m58 = mul(m43, t3);
    let m59 = mul(m38, t22);
    let m60 = mul(m37, t20);
    let m61 = mul(m42, t1);
    let m62 = mul(m45, t4);
    let m63 = mul(m41, t2);

    // Lower linear layer.
    let l0 = add(m61, m62);
    let l1 = add(m50, m56);
    let l2 = add(m46, m48);
    let l3 = add(m47, m55);
    let l4 = add(m54, m58);
    let l5 = add(m49, m61);
    let l6 = add(m62, l5);
    let l7 = add(m46, l3);
    let l8 = add(m51, m59);
    let l9 = add(m52, m53);
    let l10 = add(m53, l4);
    let l11 = add(m60, l2);
    let l12 = add(m48, m51);
    let l13 = add(m50, l0);
    let l14 = add(m52, m61);
    let l15 = add(m55, l1);
    let l16 = add(m56, l0);
    let l17 = add(m57, l1);
    let l18 = add(m58, l8);
    let l19 = add(m63, l4);
    let l20 = add(l0, l1);
    let l21 = add(l1, l7);
    let l22 = add(l3, l12);
    let l23 = add(l18, l2);
    let l24 = add(l15, l9);
    let l25 = add(l6, l10);
    let l26 = add(l7, l9);
    let l27 = add(l8, l10);
    let l28 = add(l11, l14);
    let l29 = add(l11, l17);
    let s0 = add(l6, l24);
    let s1 = add(l16, l26);
    let s2 = add(l19, l28);
    let s3 = add(l6, l21);
    let s4 = add(l20, l22);
    let s5 = add(l25, l29);
    let s6 = add(l13, l27);
    let s7 = add(l6, l23);
    [s2, s4, s7, s6, s3, s1, s0, s5]
}
