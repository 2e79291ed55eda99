//! Frames that were captured: written, read, judged and played again.

mod capture;
#[path = "../pcapng/mod.rs"]
mod pcapng;
mod play;
mod replay_command;
mod replay_judging;
mod replay_play;
mod shared_data;
