//! A second import of the same item: what it brings is kept, never dropped in silence.

use pairbox::actions::list::ItemTexts;
use pairbox::domain::items::{NewItem, Registered};
use pairbox::domain::{ItemIdentifier, ItemNumber, PublicId, Refusal};
use pairbox::service::Service;

use crate::scene::{Cas, Scene};

fn row() -> NewItem {
    NewItem {
        product: "SC-1".into(),
        serial_number: "S1".into(),
        alternative_code: "A1".into(),
        ca_id: None,
        is_effective: true,
        id: None,
        notes: "first".into(),
    }
}

fn import(
    scene: &Scene,
    row: NewItem,
    may_update: bool,
) -> Result<Registered<ItemNumber>, Refusal> {
    let actions = scene.service().actions();
    let mut ends = actions
        .register_items("test", vec![row], may_update)
        .unwrap();
    ends.remove(0)
}

fn texts(scene: &Scene) -> ItemTexts {
    let actions = scene.service().actions();
    let found = actions
        .one_item(&ItemIdentifier::SerialNumber("S1".into()))
        .unwrap();
    actions.item_texts(found).unwrap()
}

#[test]
fn notes_are_changed_by_an_update_and_by_nothing_else() {
    let cas = Cas::start("", 1);
    let mut scene = Scene::start(cas.address, "");
    let number = import(&scene, row(), false).unwrap().number();
    assert_eq!(
        import(&scene, row(), true),
        Ok(Registered::Unchanged(number))
    );
    let mut second = row();
    second.notes = "second".into();
    let refused = import(&scene, second.clone(), false);
    assert!(
        matches!(refused, Err(Refusal::ItemDiffers { field: "notes", .. })),
        "{refused:?}"
    );
    assert_eq!(
        import(&scene, second.clone(), true),
        Ok(Registered::Changed(number))
    );
    assert_eq!(texts(&scene).notes, "second");
    assert_eq!(
        import(&scene, second, false),
        Ok(Registered::Unchanged(number))
    );
    // A file without the column, with another change; and a blacklisting.
    let mut other = row();
    (other.notes, other.alternative_code) = (String::new(), "A2".into());
    assert_eq!(import(&scene, other, true), Ok(Registered::Changed(number)));
    let actions = scene.service().actions();
    actions.blacklist("test", number, true, "lost").unwrap();
    assert_eq!(texts(&scene).notes, "second");
    scene.service.take().map(Service::stop).unwrap();
}

#[test]
fn an_id_that_comes_later_is_kept_and_another_one_refused() {
    let cas = Cas::start("", 1);
    let mut scene = Scene::start(cas.address, "");
    let number = import(&scene, row(), false).unwrap().number();
    let mut named = row();
    named.id = PublicId::parse("000102030405060708090a0b0c0d0e0f");
    let refused = import(&scene, named.clone(), false);
    assert!(
        matches!(refused, Err(Refusal::ItemDiffers { field: "id", .. })),
        "{refused:?}"
    );
    assert_eq!(
        import(&scene, named.clone(), true),
        Ok(Registered::Changed(number))
    );
    let by_id = ItemIdentifier::Id(named.id.unwrap());
    let found = scene.service().actions().one_item(&by_id).unwrap();
    assert_eq!(found.number, number);
    assert_eq!(
        import(&scene, named.clone(), false),
        Ok(Registered::Unchanged(number))
    );
    // A file without the column keeps it.
    assert_eq!(
        import(&scene, row(), false),
        Ok(Registered::Unchanged(number))
    );
    named.id = PublicId::parse("ff0102030405060708090a0b0c0d0e0f");
    let refused = import(&scene, named, true);
    assert!(
        matches!(refused, Err(Refusal::IdBound { .. })),
        "{refused:?}"
    );
    scene.service.take().map(Service::stop).unwrap();
}
