//! The objects that clients read: provisioning request (`api.md` section 6), installed item, subscription.
//!
//! All keys are always there, in this order, `null` where empty.

use std::borrow::Cow;

use chrono_tz::Tz;
use sha2::{Digest as _, Sha256};

use super::dates;
use super::value::{Members, Value};
use crate::actions::details::RequestDetails;
use crate::actions::find::Found;
use crate::actions::list::ItemTexts;
use crate::domain::{
    Item, ItemNumber, Kind, Method, ProviderNumber, PublicId, Salt, Subscription,
    SubscriptionNumber, Timestamp, View,
};

/// Makes objects against one look at the state.
pub struct Objects<'a> {
    view: &'a dyn View,
    salt: Salt,
    zone: Tz,
}

impl<'a> Objects<'a> {
    pub fn new(view: &'a dyn View, zone: Tz) -> Self {
        Self {
            view,
            salt: view.meta().salt,
            zone,
        }
    }

    /// The provisioning request object (510799, 491261, 489511).
    pub fn request(&self, details: &RequestDetails) -> Members {
        let request = &*details.request;
        let accepted = &details.accepted;
        let number = request.number.0;
        let error = details.error.clone().unwrap_or_default();
        // Of our own endings the wire carries the code alone; the words are for `explain`.
        let is_of_cas = error.provider_code.is_some() || error.provider_description.is_some();
        let error_description = error.description.filter(|_| is_of_cas);
        let was_sent = request.may_be_sent();
        members([
            ("id", self.id(Kind::Request, number)),
            ("number", number.to_string().into()),
            (
                "type",
                Value::Word(Method::of(request.action()).request_type),
            ),
            (
                "sequence_number",
                was_sent.then(|| request.sequence_number.to_string()).into(),
            ),
            ("scheduled_date", self.date(accepted.scheduled)),
            (
                "executed_date",
                request.executed.map(|at| self.date(at)).into(),
            ),
            ("priority", Value::Word(request.priority.word())),
            ("process_immediately", request.is_immediate.into()),
            (
                "life_cycle_state",
                Value::Word(request.phase.life_cycle_state().word()),
            ),
            (
                "request",
                details
                    .sent
                    .as_ref()
                    .filter(|_| was_sent)
                    .map(|frame| frame.bytes.clone())
                    .into(),
            ),
            (
                "response",
                details
                    .received
                    .as_ref()
                    .map(|frame| frame.bytes.clone())
                    .into(),
            ),
            ("reference_number", details.reference.clone().into()),
            ("error_code", error.code.into()),
            ("error_description", error_description.into()),
            ("provider_error_code", error.provider_code.into()),
            (
                "provider_error_description",
                error.provider_description.into(),
            ),
            ("process_name", Value::Word(request.process_name.word())),
            (
                "process_id",
                (request.run > 0)
                    .then(|| self.id(Kind::Run, request.run))
                    .into(),
            ),
            ("name", Value::Null),
            ("provisioning_provider", self.provider(request.provider)),
            (
                "subscription",
                request
                    .subscription
                    .map(|number| self.subscription_name(number))
                    .into(),
            ),
            ("parameters_set", self.parameters(details)),
            (
                "log_information",
                self.log(
                    (details.created_at, &details.created_by),
                    (details.updated_at, &details.updated_by),
                ),
            ),
        ])
    }

    /// The installed item object (952004, 952050).
    pub fn item(&self, details: &ItemTexts) -> Members {
        let Found {
            number,
            item,
            product,
        } = &details.found;
        let product_id = self.id(Kind::Product, u64::from(item.product.0));
        members([
            ("id", self.item_id(*number, item).to_string().into()),
            ("serial_number", item.identifiers.serial_number().into()),
            (
                "alternative_code",
                item.identifiers.alternative_code().into(),
            ),
            ("state", Value::Word(state_word(item.is_effective))),
            (
                "product",
                Value::object([
                    ("id", product_id),
                    ("code", product.as_str().into()),
                    ("name", product.as_str().into()),
                ]),
            ),
            (
                "notes",
                Some(details.notes.as_str())
                    .filter(|notes| !notes.is_empty())
                    .into(),
            ),
            (
                "log_information",
                self.log(
                    (details.created_at, &details.created_by),
                    (details.updated_at, &details.updated_by),
                ),
            ),
        ])
    }

    /// The subscription object: the fields that we keep.
    pub fn subscription(&self, number: SubscriptionNumber, row: &Subscription) -> Members {
        members([
            ("id", self.subscription_id(number, row)),
            ("number", (*row.number).into()),
            ("life_cycle_state", (*row.life_cycle_state).into()),
        ])
    }

    fn parameters(&self, details: &RequestDetails) -> Value {
        let request = &*details.request;
        let number = request.number.0;
        let mut parameters = vec![Value::object([
            ("smartcard_ca_id", (*request.card_ca).into()),
            ("id", self.id(Kind::CardParameter, number)),
        ])];
        if let Some(stb_ca) = request.stb_ca.as_deref() {
            parameters.push(Value::object([
                ("stb_ca_id", stb_ca.into()),
                ("id", self.id(Kind::StbParameter, number)),
            ]));
        }
        Value::List(parameters)
    }

    fn provider(&self, number: ProviderNumber) -> Value {
        let name = self
            .view
            .provider(number)
            .map(|provider| provider.name.to_string());
        Value::object([
            ("id", self.id(Kind::Provider, u64::from(number.0))),
            ("name", name.into()),
        ])
    }

    fn subscription_name(&self, number: SubscriptionNumber) -> Value {
        let Some(row) = self.view.subscription(number) else {
            return Value::Null;
        };
        Value::object([
            ("id", self.subscription_id(number, &row)),
            ("number", (*row.number).into()),
        ])
    }

    fn subscription_id(&self, number: SubscriptionNumber, row: &Subscription) -> Value {
        match row.imported_id {
            Some(id) => id.to_string().into(),
            None => self.id(Kind::Subscription, number.0),
        }
    }

    fn item_id(&self, number: ItemNumber, item: &Item) -> PublicId {
        item.imported_id
            .unwrap_or_else(|| PublicId::new(Kind::Item, number.0, self.salt))
    }

    fn log(&self, created: (Timestamp, &str), updated: (Timestamp, &str)) -> Value {
        let (created_at, created_by) = (self.date(created.0), self.user(created.1));
        // Most are read before anything has happened to them.
        let updated_at = if updated.0 == created.0 {
            created_at.clone()
        } else {
            self.date(updated.0)
        };
        let updated_by = if updated.1 == created.1 {
            created_by.clone()
        } else {
            self.user(updated.1)
        };
        Value::object([
            ("created_date", created_at),
            ("updated_date", updated_at),
            ("created_by_user", created_by),
            ("updated_by_user", updated_by),
        ])
    }

    /// Users have names and no numbers here: the number behind a user's id is the first eight bytes of the name's SHA-256,
    /// so the id is stable without a table of users, even of those that were removed.
    fn user(&self, name: &str) -> Value {
        let digest = Sha256::digest(name.as_bytes());
        let number = digest
            .iter()
            .take(8)
            .fold(0, |number: u64, byte| (number << 8) | u64::from(*byte));
        Value::object([
            ("id", self.id(Kind::User, number)),
            ("username", name.into()),
        ])
    }

    fn id(&self, kind: Kind, number: u64) -> Value {
        PublicId::new(kind, number, self.salt).to_string().into()
    }

    fn date(&self, at: Timestamp) -> Value {
        dates::show(at, self.zone).into()
    }
}

/// The state of an item in the CRM's words.
pub fn state_word(is_effective: bool) -> &'static str {
    if is_effective {
        "EFFECTIVE"
    } else {
        "NOT_EFFECTIVE"
    }
}

fn members<const N: usize>(members: [(&'static str, Value); N]) -> Members {
    members
        .into_iter()
        .map(|(key, value)| (Cow::Borrowed(key), value))
        .collect()
}
