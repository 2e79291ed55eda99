//! Captures made by hand, read down to PDUs: every form says the same, whatever order the segments
//! are in; and no octets, however hostile, do more than end in a fault.

mod dialogue;
mod figures;
mod fixtures;
mod forms;
mod hostile;
mod order;
mod spotting;
mod streams;
mod wire;
