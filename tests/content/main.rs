//! What is read in a text, whatever form it comes in: a message's class and notices, a reply's meaning.

mod announced;
mod content;
mod corpora;
mod disguises;
mod explain;
mod replies;
