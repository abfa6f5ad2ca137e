//! AES against the standards' known answers and against the `aes` crate. The same proof runs inside WebAssembly, where
//! the implementation is another: `examples/aes_speed.rs`.

#[path = "aes/proof.rs"]
mod proof;

#[test]
fn known_answers() {
    proof::known_answers();
}

#[test]
fn equal_to_the_crate() {
    proof::blocks(2_000);
    proof::counter_mode(2_000);
    proof::chains(600);
    proof::one_chain(300);
}

#[test]
fn chains_outside_of_the_data_are_refused() {
    proof::chains_outside();
}
