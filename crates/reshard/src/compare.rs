//! Comparing both sides: digests of what is copied while the source serves, heads of everything once it is frozen.

use std::sync::Arc;

use futures_util::future::{try_join, try_join_all};
use ostracon_domain::{Subject, UnitId};
use ostracon_store::{Shard, SubjectHead};

use crate::{call::Trouble, mover::Attempt};

/// Heads that are read at once.
const HEADS: u32 = 2_000;

impl Attempt {
    /// Compares the rows of every subject that has the same version on both sides.
    ///
    /// # Errors
    /// `Hopeless` when they differ: a copy that is not the same must not serve.
    pub(crate) async fn compare_copies(&mut self) -> Result<(), Trouble> {
        self.progress.verified = 0;
        for at in self.moved_units() {
            let mut after = None;
            loop {
                self.go_on()?;
                let heads = self.heads(&self.source, at.unit, after).await?;
                let Some(last) = heads.last() else { break };
                after = Some(last.subject);
                for heads in heads.chunks(self.around.options.subjects_at_once) {
                    self.compare_subjects(at.unit, heads).await?;
                }
            }
        }
        Ok(())
    }

    async fn compare_subjects(
        &mut self,
        unit: UnitId,
        heads: &[SubjectHead],
    ) -> Result<(), Trouble> {
        // What changes meanwhile is noted, and compared by its version in the freeze.
        let same = heads.iter().filter(|head| self.known.get(&head.subject) == Some(&head.version));
        let subjects: Vec<Subject> = same.map(|head| head.subject).collect();
        if subjects.is_empty() {
            return Ok(());
        }
        self.around.throttle.take(&*self.around.host, subjects.len()).await;
        let patience = self.patience.clone();
        let digests = async |shard: &Arc<dyn Shard>| {
            let found = patience.answer(|| shard.digests(unit, &subjects)).await?;
            found.map_err(|error| Trouble::Hopeless(format!("no digest: {error}")))
        };
        let theirs = digests(&self.destination).await?;
        for ours in digests(&self.source).await? {
            let copy = theirs.iter().find(|copy| copy.subject == ours.subject);
            if copy.is_some_and(|copy| copy.version != ours.version) {
                continue;
            }
            if copy != Some(&ours) {
                self.import_is_whole().await?;
                metrics::counter!("verify_mismatch_total").increment(1);
                tracing::error!(?ours, ?copy, "a copy differs from its source");
                return Err(Trouble::Hopeless(format!(
                    "the copy of {:?} differs from its source: both are kept, see `ostracon doctor`",
                    ours.subject
                )));
            }
            self.progress.verified += 1;
        }
        Ok(())
    }

    /// Compares versions and heads of all subjects of the frozen units.
    pub(crate) async fn compare_frozen(&self) -> Result<(), Trouble> {
        let units = self.moved_units();
        let compared = try_join_all(units.iter().map(|at| self.compare_unit(at.unit))).await?;
        let Some((unit, differs)) = compared.into_iter().flatten().next() else { return Ok(()) };
        self.import_is_whole().await?;
        metrics::counter!("verify_mismatch_total").increment(1);
        tracing::error!(?differs, unit = unit.0, "source and copy differ after the drain");
        Err(Trouble::Hopeless(format!(
            "source and copy of unit {unit} differ after the drain ({differs:?})"
        )))
    }

    /// The unit, if its sides differ, and the first subject that the copy lacks or has otherwise.
    async fn compare_unit(
        &self,
        unit: UnitId,
    ) -> Result<Option<(UnitId, Option<SubjectHead>)>, Trouble> {
        let mut after = None;
        loop {
            let (ours, theirs) = try_join(
                self.heads(&self.source, unit, after),
                self.heads(&self.destination, unit, after),
            )
            .await?;
            if ours != theirs {
                let differs = ours.into_iter().find(|head| !theirs.contains(head));
                return Ok(Some((unit, differs)));
            }
            match ours.last() {
                Some(last) if ours.len() == HEADS as usize => after = Some(last.subject),
                _ => return Ok(None),
            }
        }
    }

    /// Before anybody is alarmed: the destination has not started anew since the copy began, and the copy is still ours.
    async fn import_is_whole(&self) -> Result<(), Trouble> {
        self.complete_import().await
    }

    pub(crate) async fn heads(
        &self,
        shard: &Arc<dyn Shard>,
        unit: UnitId,
        after: Option<Subject>,
    ) -> Result<Vec<SubjectHead>, Trouble> {
        let ask = || shard.heads(unit, after, HEADS);
        let heads = self.patience.answer(ask).await?;
        heads.map_err(|error| Trouble::Hopeless(format!("no heads: {error}")))
    }

    /// Every subject of a unit.
    pub(crate) async fn subjects(
        &self,
        shard: &Arc<dyn Shard>,
        unit: UnitId,
    ) -> Result<Vec<Subject>, Trouble> {
        let mut subjects = Vec::new();
        loop {
            let heads = self.heads(shard, unit, subjects.last().copied()).await?;
            if heads.is_empty() {
                return Ok(subjects);
            }
            subjects.extend(heads.into_iter().map(|head| head.subject));
        }
    }
}
