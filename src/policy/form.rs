//! The family `form`: what is judged is a text for a person's screen, sent once. Whatever takes
//! another's place, goes to a program or a card, or is shown otherwise than a text is, is recorded
//! and judged as something it is not (Order 31 art. 11).

use crate::registry::Allotment;

use super::nature::{Nature, nature};
use super::{Facts, Form, Reason, Text};

fn first(facts: &Facts<'_>, of: &[(Form, Reason)]) -> Option<Reason> {
    if facts.forms.is_empty() {
        return None;
    }
    of.iter().find(|(form, _)| facts.forms.contains(*form)).map(|(_, reason)| *reason)
}

/// A message in the place of one that was judged before.
pub(super) fn replacing(facts: &Facts<'_>) -> Option<Reason> {
    let of = [
        (Form::ReplacesWaiting, Reason::FormReplacesWaiting),
        (Form::ReplacesShown, Reason::FormReplacesShown),
    ];
    first(facts, &of)
}

/// Another service than texts.
pub(super) fn service(facts: &Facts<'_>) -> Option<Reason> {
    first(facts, &[(Form::Service, Reason::FormService), (Form::Ussd, Reason::FormUssd)])
}

/// A protocol other than person to person.
pub(super) fn protocol(facts: &Facts<'_>) -> Option<Reason> {
    let of = [(Form::Silent, Reason::FormSilent), (Form::Telematic, Reason::FormTelematic)];
    first(facts, &of)
}

/// A mode or type that no ESME's text has.
pub(super) fn mode(facts: &Facts<'_>) -> Option<Reason> {
    first(facts, &[(Form::Mode, Reason::FormMode), (Form::Type, Reason::FormType)])
}

/// To a program, a card, equipment: nobody reads it, or reads in it what was not judged. Data for
/// one goes from a code that may send data.
pub(super) fn program(facts: &Facts<'_>) -> Option<Reason> {
    let of = [
        (Form::Port, Reason::FormPort),
        (Form::Header, Reason::FormHeader),
        (Form::Card, Reason::FormCard),
        (Form::Subunit, Reason::FormSubunit),
        (Form::Payload, Reason::FormPayload),
    ];
    first(facts, &of).filter(|_| !is_data_of_right(facts))
}

/// Eight-bit data from a code that may not send any.
pub(super) fn binary(facts: &Facts<'_>) -> Option<Reason> {
    (facts.text == Text::Binary && !is_data_of_right(facts)).then_some(Reason::FormBinary)
}

/// Advertising that is forced on the eye, or into the memory of the card.
pub(super) fn display(facts: &Facts<'_>) -> Option<Reason> {
    let of = [
        (Form::Flash, Reason::FormFlash),
        (Form::Stored, Reason::FormStored),
        (Form::Lamp, Reason::FormLamp),
        (Form::Display, Reason::FormDisplay),
    ];
    first(facts, &of).filter(|_| nature(facts) != Nature::Other)
}

fn is_data_of_right(facts: &Facts<'_>) -> bool {
    let may = matches!(facts.allotment, Allotment::Code(_, code) if code.binary);
    may && facts.text == Text::Binary
}
