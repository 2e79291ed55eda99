//! The files that users write, and the commands that make and explain them.

mod config;
mod init_and_check;
mod shells;
