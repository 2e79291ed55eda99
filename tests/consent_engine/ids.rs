//! Ids of events that streams told.

use consentry::consent::IdKey;

use super::stage::staged;

#[test]
fn ids_are_remembered_for_thirty_days_after_they_were_told_last() {
    staged(async |stage, engine| {
        let [one, two, three] = ["1", "2", "3"].map(|id| IdKey::of("crm", id));
        let known = async |asked: &[IdKey]| {
            let mut known = engine.ids(asked).await.unwrap();
            known.sort_unstable();
            known
        };
        let sorted = |mut ids: Vec<IdKey>| {
            ids.sort_unstable();
            ids
        };
        assert_eq!(known(&[one, two]).await, []);
        engine.add_ids(&[one, two, one]).await.unwrap();
        assert_eq!(known(&[one, two, three]).await, sorted(vec![one, two]));
        stage.query("UPDATE consentry_consent_ids SET told = told - interval '31 days'");
        // Told again, it is young again; what nobody told again goes.
        engine.add_ids(&[two, three]).await.unwrap();
        assert_eq!(known(&[one, two, three]).await, sorted(vec![two, three]));
        assert_eq!(known(&[]).await, []);
    });
}
