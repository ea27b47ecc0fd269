//! The configured providers, and which one a request is for.

use std::sync::Arc;

use super::Provider;
use crate::domain::{ItemKind, ProviderNumber, Refusal};

/// All configured providers; replaced whole on reload.
#[derive(Clone, Default)]
pub struct Providers {
    list: Vec<Arc<Provider>>,
}

impl Providers {
    pub fn new(list: Vec<Arc<Provider>>) -> Self {
        Self { list }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.list.iter()
    }

    pub fn by_number(&self, number: ProviderNumber) -> Option<&Arc<Provider>> {
        self.list
            .iter()
            .find(|provider| provider.number == number.0)
    }

    pub fn by_name(&self, name: &str) -> Option<&Arc<Provider>> {
        self.list.iter().find(|provider| provider.name == name)
    }

    /// Whether any provider takes items of this product for `kind`.
    pub fn takes(&self, product_code: &str, kind: ItemKind) -> bool {
        self.list
            .iter()
            .any(|provider| provider.classify(product_code) == Some(kind))
    }

    /// The one provider whose family has the method and whose products classify the card; none or two is an error.
    pub fn for_card(
        &self,
        family: Option<&str>,
        product_code: &str,
    ) -> Result<&Arc<Provider>, Refusal> {
        let takes = |provider: &&Arc<Provider>| {
            family.is_none_or(|family| provider.family == family)
                && provider.classify(product_code) == Some(ItemKind::Smartcard)
        };
        let mut taking = self.list.iter().filter(takes);
        let family = family.unwrap_or("any").to_owned();
        let product = product_code.to_owned();
        match (taking.next(), taking.count()) {
            (None, _) => Err(Refusal::NoProvider { family, product }),
            (Some(provider), 0) => Ok(provider),
            (Some(_), more) => Err(Refusal::ProviderAmbiguous {
                family,
                product,
                count: more + 1,
            }),
        }
    }
}
