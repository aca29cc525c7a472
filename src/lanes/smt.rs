//! The lemmas that an entry needs, proved again by Z3, each with its satisfiable twin, and the obligations of every
//! piece of its certificate.
//!
//! A counterexample is a violation; `unknown` (a time limit) blocks nothing and is reported. A query that several
//! entries share is asked once.

use super::Finding;
use catalogs::Entry;
use evidence::{EvidenceError, Query, Verdict, lemma_queries, obligations, prove};
use rayon::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use verify::certificate::Certificate;

/// For one query; most take milliseconds.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Asks Z3 and remembers its answers.
#[derive(Default)]
pub struct Prover {
    /// By the query's text.
    answers: BTreeMap<String, Verdict>,
}

impl Prover {
    /// Proves every lemma that `entry` needs, and every obligation of `certificate`.
    pub fn examine(
        &mut self,
        entry: &Entry,
        certificate: &Certificate,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Finding {
        let lemmas = entry.needs().iter().map(lemma_queries).collect::<Result<Vec<_>, _>>();
        let queries: BTreeMap<String, Query> =
            match lemmas.and_then(|lemmas| Ok((lemmas, obligations(entry, certificate)?))) {
                Ok((lemmas, obligations)) => {
                    let all = lemmas.into_iter().flatten().chain(obligations);
                    all.map(|query| (query.smtlib.clone(), query)).collect()
                }
                Err(error) => return Finding::not_run(error),
            };
        let obligations = queries.values().filter(|query| query.logic() != Some("QF_BV")).count();
        match self.ask(&queries, progress) {
            Ok(()) => self.finding(entry, &queries, obligations),
            Err(error) => Finding::not_run(error),
        }
    }

    fn ask(
        &mut self,
        queries: &BTreeMap<String, Query>,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<(), EvidenceError> {
        let open: Vec<&Query> = queries.values().filter(|query| !self.answers.contains_key(&query.smtlib)).collect();
        let done = AtomicU64::new(0);
        let answers = open.par_iter().map(|query| {
            let verdict = prove(query, TIMEOUT)?;
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, open.len() as u64);
            Ok((query.smtlib.clone(), verdict))
        });
        self.answers.extend(answers.collect::<Result<Vec<_>, EvidenceError>>()?);
        Ok(())
    }

    fn finding(&self, entry: &Entry, queries: &BTreeMap<String, Query>, obligations: usize) -> Finding {
        let answered = queries.values().map(|query| (query, &self.answers[&query.smtlib]));
        let (mut confirmed, mut unknown, mut violation) = (0u64, Vec::new(), None);
        for (query, verdict) in answered {
            match verdict {
                verdict if verdict.confirms(query.expected) => confirmed += 1,
                Verdict::Unknown(_) => unknown.push(query.name.clone()),
                refuted => {
                    violation.get_or_insert(format!(
                        "query {}: Z3 answers {refuted:?}, {:?} is expected",
                        query.name, query.expected
                    ));
                }
            }
        }
        let open = if unknown.is_empty() { String::new() } else { format!(", {} unknown", unknown.len()) };
        let figures = json!({
            "lemmas": entry.needs().len(),
            "obligations": obligations,
            "queries": queries.len(),
            "confirmed": confirmed,
            "unknown": unknown,
        });
        let summary = format!("{} lemmas, {obligations} obligations, {confirmed} confirmed{open}", entry.needs().len());
        Finding::new(summary, violation, figures)
    }
}
