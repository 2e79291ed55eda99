//! What a text is, in the words of the law and of the platforms.

use std::fmt;

/// The class of a text. Commercial text needs consent (Order 31 art. 18, Order 74 art. 21); business
/// service and public-interest text does not and must not advertise (Order 31 art. 19).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Introduces or promotes goods, services or business-investment opportunities (annex of Order 31).
    Commercial,
    /// Business-management or service text: what the recipient asked for or has to know.
    Service(Kind),
    /// Public interest: government bodies, emergencies, prevention of fraud, non-profit.
    Public,
    /// Between people.
    Personal,
    /// Pretends to be somebody, or draws money or secrets out of the recipient.
    Fraud,
    /// Offers what nobody may offer: gambling, forged papers, invoices for sale, escorts.
    Illicit,
}

/// What sort of service text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A verification code.
    Code,
    /// Everything else: movements, parcels, appointments, bills, outages.
    Notification,
}

impl Class {
    /// How many classes there are.
    pub const COUNT: usize = 7;

    /// Every class, in the order of the columns of the weights.
    pub const ALL: [Class; Class::COUNT] = [
        Class::Commercial,
        Class::Service(Kind::Code),
        Class::Service(Kind::Notification),
        Class::Public,
        Class::Personal,
        Class::Fraud,
        Class::Illicit,
    ];

    /// Where it stands in [`Class::ALL`].
    pub fn index(self) -> usize {
        match self {
            Class::Commercial => 0,
            Class::Service(Kind::Code) => 1,
            Class::Service(Kind::Notification) => 2,
            Class::Public => 3,
            Class::Personal => 4,
            Class::Fraud => 5,
            Class::Illicit => 6,
        }
    }

    /// Its stable name in the weights file.
    pub fn name(self) -> &'static str {
        match self {
            Class::Commercial => "commercial",
            Class::Service(Kind::Code) => "service.code",
            Class::Service(Kind::Notification) => "service.notification",
            Class::Public => "public",
            Class::Personal => "personal",
            Class::Fraud => "fraud",
            Class::Illicit => "illicit",
        }
    }

    /// The class without its kind, as records and `content test` name it.
    pub fn family(self) -> &'static str {
        match self {
            Class::Service(_) => "service",
            other => other.name(),
        }
    }

    /// The class of a name as [`Class::name`] gives it.
    pub fn named(name: &str) -> Option<Class> {
        Class::ALL.into_iter().find(|class| class.name() == name)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_columns_agree() {
        for (column, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class.index(), column);
            assert_eq!(Class::named(class.name()), Some(class));
        }
        assert_eq!(Class::named("service"), None);
    }
}
