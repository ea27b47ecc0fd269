//! A verb is a type; the table maps its name to its call. Calls and answers are JSON, the same for socket and process.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::ControlError;
use super::{
    ANSWER_BYTES_MAX, ControlContext, ItemBlacklist, ItemList, ItemRegister, ItemShow, JobCancel,
    JobCreate, JobFailed, JobList, JobPart, JobPause, JobRehearsal, JobRehearse, JobReportOf,
    JobResume, JobShow, JobUpload, KeyCreate, KeyList, KeyRevoke, MappingSent, MappingTried, Pair,
    PairingHistoryOf, PairingList, PairingShow, ProcessBegin, ProcessProgress, ProviderList,
    ProviderPause, ProviderResume, ReloadBegin, ReloadProgress, RequestCancel, RequestExplain,
    RequestList, RequestResolve, RequestRetry, RequestShow, Status, SubscriptionList,
    SubscriptionRegister, SubscriptionShow, Unpair, UserAdd, UserList, UserPassword, UserRemove,
};

/// One thing that an operator may ask.
pub trait Verb {
    const NAME: &'static str;
    type Ask: Serialize + DeserializeOwned;
    type Answer: Serialize + DeserializeOwned;

    /// `by` is who asks, as the ledger will say it.
    fn run(
        context: &ControlContext,
        by: &str,
        ask: Self::Ask,
    ) -> Result<Self::Answer, ControlError>;
}

/// What travels: who asks, and what.
#[derive(Serialize, Deserialize)]
struct Call<A> {
    by: String,
    ask: A,
}

type Handler = fn(&ControlContext, &[u8], Option<&str>) -> Result<Vec<u8>, ControlError>;

/// All verbs.
const TABLE: [(&str, Handler); 47] = [
    entry::<Status>(),
    entry::<ProcessBegin>(),
    entry::<ProcessProgress>(),
    entry::<ReloadBegin>(),
    entry::<ReloadProgress>(),
    entry::<Pair>(),
    entry::<Unpair>(),
    entry::<ItemRegister>(),
    entry::<ItemList>(),
    entry::<ItemShow>(),
    entry::<ItemBlacklist>(),
    entry::<SubscriptionRegister>(),
    entry::<SubscriptionList>(),
    entry::<SubscriptionShow>(),
    entry::<RequestList>(),
    entry::<RequestShow>(),
    entry::<RequestExplain>(),
    entry::<RequestCancel>(),
    entry::<RequestRetry>(),
    entry::<RequestResolve>(),
    entry::<PairingList>(),
    entry::<PairingShow>(),
    entry::<PairingHistoryOf>(),
    entry::<ProviderList>(),
    entry::<ProviderPause>(),
    entry::<ProviderResume>(),
    entry::<JobUpload>(),
    entry::<JobPart>(),
    entry::<JobCreate>(),
    entry::<JobRehearse>(),
    entry::<JobRehearsal>(),
    entry::<JobList>(),
    entry::<JobShow>(),
    entry::<JobReportOf>(),
    entry::<JobFailed>(),
    entry::<JobPause>(),
    entry::<JobResume>(),
    entry::<JobCancel>(),
    entry::<MappingSent>(),
    entry::<MappingTried>(),
    entry::<UserAdd>(),
    entry::<UserList>(),
    entry::<UserRemove>(),
    entry::<UserPassword>(),
    entry::<KeyCreate>(),
    entry::<KeyList>(),
    entry::<KeyRevoke>(),
];

/// The names of all verbs.
pub fn verb_names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(name, _)| *name)
}

const fn entry<V: Verb>() -> (&'static str, Handler) {
    (V::NAME, answer::<V>)
}

/// Runs the verb of that name on a call's bytes and gives the answer's bytes. With `by` that is who asks, whatever the call
/// says.
pub fn handle(
    context: &ControlContext,
    verb: &str,
    call: &[u8],
    by: Option<&str>,
) -> Result<Vec<u8>, ControlError> {
    let known = TABLE.iter().find(|(name, _)| *name == verb);
    let Some((_, handler)) = known else {
        return Err(ControlError::UnknownVerb {
            verb: verb.chars().take(NAME_SHOWN).collect(),
        });
    };
    let answer = handler(context, call, by)?;
    if answer.len() > ANSWER_BYTES_MAX {
        return Err(ControlError::AnswerTooLong {
            limit: ANSWER_BYTES_MAX,
            found: answer.len(),
        });
    }
    Ok(answer)
}

/// The bytes of a call.
pub fn write_call<V: Verb>(by: &str, ask: &V::Ask) -> Result<Vec<u8>, serde_json::Error> {
    write_call_of(by, ask)
}

/// The bytes of a call whose verb is known by its name only.
pub fn write_call_of(by: &str, ask: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Call {
        by: by.to_owned(),
        ask,
    })
}

/// Characters of a name that is not known, or of a caller, that are taken over.
const NAME_SHOWN: usize = 64;

fn answer<V: Verb>(
    context: &ControlContext,
    call: &[u8],
    known: Option<&str>,
) -> Result<Vec<u8>, ControlError> {
    let Call { by, ask } =
        serde_json::from_slice::<Call<V::Ask>>(call).map_err(|source| ControlError::Call {
            verb: V::NAME,
            source,
        })?;
    let by: String = known
        .unwrap_or(&by)
        .chars()
        .filter(|c| !c.is_control())
        .take(NAME_SHOWN)
        .collect();
    let answer = V::run(context, &by, ask)?;
    serde_json::to_vec(&answer).map_err(|source| ControlError::Answer {
        verb: V::NAME,
        source,
    })
}
