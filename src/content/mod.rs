//! What a text is: commercial, service, public, personal, fraud or illicit, and why; which registered
//! template it is; how it is signed; whether it says how to refuse.
//!
//! Pure: a text in, a reading out. `docs/content.md` says how well it reads and where it fails.

mod candidates;
mod class;
mod fit;
mod fold;
mod lexicon;
mod marks;
mod normal;
mod notice;
mod prohibited;
mod radical;
mod reader;
mod reading;
pub mod reply;
mod signature;
mod symbols;
mod template;
mod variable;
mod weights;
mod words;

pub use class::{Class, Kind};
pub use fit::{Labelled, Settings, fit};
pub use normal::{Distance, Normal, TEXT_OCTETS_MAX};
pub use notice::{Notice, notice};
pub use prohibited::{
    PROHIBITED_CHARS_MAX, PROHIBITED_WORDS_MAX, Prohibited, ProhibitedFault, ProhibitedMatch,
};
pub use reader::{Reader, Scratch};
pub use reading::{FIRED_MAX, FeatureId, Fired, Reading, Span};
pub use signature::{Place, SIGNATURES_MAX, Signature, Signatures, Signed, same_name, signatures};
pub use template::{
    TEMPLATE_CHARS_MAX, TEMPLATES_MAX, TemplateFault, TemplateMatch, Templates, VARIABLE_CHARS_MAX,
    VARIABLES_MAX,
};
pub use weights::{FEATURES_MAX, Feature, Row, Sort, WORD_CHARS_MAX, Weights, WeightsFault};
