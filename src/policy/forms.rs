//! In what form a message comes, as far as that is another than a plain text's.

/// One way in which a message is more than a plain text to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// It takes the place of a message that waits to be delivered.
    ReplacesWaiting,
    /// It takes the place of a message in the handset.
    ReplacesShown,
    /// It belongs to a service that is not the provider's: USSD, WAP, voice mail.
    Service,
    /// It is a step of a USSD dialogue.
    Ussd,
    /// The handset shows and keeps nothing.
    Silent,
    /// To telex, fax, e-mail, or a protocol that is reserved.
    Telematic,
    /// To be delivered as a datagram or in a transaction.
    Mode,
    /// It calls itself a receipt or an acknowledgement.
    Type,
    /// To a port: a program reads it.
    Port,
    /// A header element that does more than join parts and choose alphabets.
    Header,
    /// An instruction to the SIM or the handset itself.
    Card,
    /// To something else than the screen.
    Subunit,
    /// A payload that is no text by its own word.
    Payload,
    /// Shown at once and not kept.
    Flash,
    /// Kept in the SIM or in equipment behind the handset.
    Stored,
    /// It lights a message-waiting lamp.
    Lamp,
    /// It says how the handset shows or announces it, or deletes it once read.
    Display,
}

impl Form {
    /// All of them.
    pub const ALL: [Form; 17] = [
        Form::ReplacesWaiting,
        Form::ReplacesShown,
        Form::Service,
        Form::Ussd,
        Form::Silent,
        Form::Telematic,
        Form::Mode,
        Form::Type,
        Form::Port,
        Form::Header,
        Form::Card,
        Form::Subunit,
        Form::Payload,
        Form::Flash,
        Form::Stored,
        Form::Lamp,
        Form::Display,
    ];
}

/// Some of them, or none, which is a plain text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forms(u32);

impl Forms {
    /// Whether it is a plain text.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a message has this form.
    pub fn contains(self, form: Form) -> bool {
        self.0 & (1 << form as u32) != 0
    }

    /// Adds a form.
    pub fn add(&mut self, form: Form) {
        self.0 |= 1 << form as u32;
    }
}
