//! Tokens right and wrong, signed by keys that the tests make.

mod accepted;
mod forge;
mod mutations;
mod reach;
mod refused;
mod sets;
