//! What texts say: here, whether a handset's reply ends or gives consent.

pub mod reply;
