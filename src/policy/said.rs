//! What a message says, as far as rules ask: fetched by whoever read the text.

use crate::content::Class;

/// The text of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Text {
    /// Nobody looked: no rule that asks is in force, or the message has none by its kind.
    #[default]
    Unread,
    /// It cannot be read as the handset will.
    Undecodable,
    /// Eight-bit data, in which no text was found.
    Binary,
    /// It was read.
    Said(Said),
}

/// What a text says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Said {
    /// What it is called: by the registry where that says, else by the classifier.
    pub class: Class,
    /// Whether it is one of the code's registered templates; `None` when it has none registered.
    pub template: Option<bool>,
    /// Whether it is one of the templates by which the code's owner asks for consent.
    pub asks: bool,
    /// Who signs it.
    pub signed: Signed,
    /// Whether it says how to refuse more of its kind.
    pub tells_how_to_refuse: bool,
    /// Whether it holds a listed word or phrase.
    pub is_listed: bool,
    /// Whether this is all of the text; parts of a long message are judged as they come.
    pub is_whole: bool,
}

/// How a message stands to the long message that it is a part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parts {
    /// It is a message of its own, or a part with all before it.
    #[default]
    Sound,
    /// A part that cannot be placed, or that contradicts another.
    Malformed,
    /// A part of a message that was refused.
    Refused,
    /// A part that comes before one that precedes it.
    Early,
    /// Beyond what is held.
    Limit,
    /// A part that waited for others, which did not come in time.
    Late,
    /// A part that was read with another one, which is not going on after all.
    TakenBack,
}

/// By whom a text is signed: 【name】.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// By nobody.
    None,
    /// More than once.
    Several,
    /// Neither at the beginning nor at the end.
    Elsewhere,
    /// By a name registered for the code, or by any where none is registered.
    Registered,
    /// By another name.
    Unregistered,
}
