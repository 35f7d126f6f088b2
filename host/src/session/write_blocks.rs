//! The write blocks of a sync: planned at its start, and shown.

use crate::{
    metadata::{SessionDocument, WriteBlockDocument, WriteBlocksDocument},
    model::{
        ErrorName, OperatorError, StartOptions, State,
        options::WriteBlockMode,
        progress::{BlockProgress, FeatureDeferral, WriteBlocksProgress},
    },
    mongo::{
        Cluster, is_write_blocked, listing,
        preflight::{BlockAbility, destination_ability, source_ability},
    },
    sync::{BlockView, Status},
};

/// Name of the feature in `deferredFeatures`.
const FEATURE: &str = "writeBlocking";

/// The blocks of a new sync, and the blocks that are there already.
pub(super) struct BlockPlan {
    /// The document of the session.
    pub(super) blocks: WriteBlocksDocument,
    /// Sentences about blocks of others.
    pub(super) warnings: Vec<String>,
}

/// Plans the blocks of a new sync. Only reads.
///
/// # Errors
/// `MissingPrivileges` if the start asks for a block that these users may not set; `WritesBlocked` if a destination is
/// blocked for this user.
pub(super) async fn plan(
    source: &Cluster,
    destination: &Cluster,
    options: &StartOptions,
) -> Result<BlockPlan, OperatorError> {
    let ability = destination_ability(destination).await?;
    let warnings = foreign_blocks(source, destination, &ability).await?;
    let (mode, is_asked) = (options.write_blocking(), options.write_blocking.is_some());
    let blocks = plan_for(source, destination, mode, is_asked).await?;
    Ok(BlockPlan { blocks, warnings })
}

/// The blocks of `mode`, as far as the clusters and the users allow them. Only reads.
///
/// # Errors
/// `MissingPrivileges` if the blocks are asked for by name and these users may not set them;
/// `ServerVersionNotSupported` for a source without blocks.
pub(super) async fn plan_for(
    source: &Cluster,
    destination: &Cluster,
    mode: WriteBlockMode,
    is_asked: bool,
) -> Result<WriteBlocksDocument, OperatorError> {
    let now = listing::local_time(&destination.client).await?;
    let mut blocks = WriteBlocksDocument::default();
    let ability = destination_ability(destination).await?;
    if mode != WriteBlockMode::None && is_able(&mut blocks, destination, ability, is_asked)? {
        let mut block = WriteBlockDocument::open(now);
        block.request(now);
        blocks.destination = Some(block);
    }
    if mode == WriteBlockMode::SourceAndDestination {
        let ability = source_ability(source).await?;
        if is_able(&mut blocks, source, ability, is_asked)? {
            blocks.source = Some(WriteBlockDocument::open(now));
        }
    }
    Ok(blocks)
}

/// Whether the cluster can be blocked. If it cannot, and need not, the reason is noted.
fn is_able(
    blocks: &mut WriteBlocksDocument,
    cluster: &Cluster,
    ability: BlockAbility,
    is_asked: bool,
) -> Result<bool, OperatorError> {
    let name = cluster.name.as_str();
    match ability {
        BlockAbility::Able => return Ok(true),
        BlockAbility::NoAccessControl => blocks.lacking.push(format!(
            "User writes of {name} are not blocked: it runs without access control, so the server would block \
             tidegate's writes too. Make sure that nothing else writes to {name}."
        )),
        BlockAbility::TooOld => {
            return Err(OperatorError::new(
                ErrorName::ServerVersionNotSupported,
                format!(
                    "{name} runs a version before MongoDB 6.0, which cannot block user writes. Nothing was changed. Set \
                     enableUserWriteBlocking to destinationOnly or none, and stop the writes of {name} before commit."
                ),
            ));
        }
        BlockAbility::Lacks(grant) if is_asked => {
            return Err(OperatorError::new(
                ErrorName::MissingPrivileges,
                format!(
                    "The user of {name} may not block user writes, and enableUserWriteBlocking asks for it. Nothing was \
                     changed. Grant {grant}, or leave enableUserWriteBlocking out. docs/preflight.md has the roles."
                ),
            ));
        }
        BlockAbility::Lacks(grant) => blocks.lacking.push(format!(
            "User writes of {name} are not blocked: its user lacks a privilege. Make sure that nothing else writes to \
             {name}; for the next sync, grant {grant}."
        )),
    }
    Ok(false)
}

/// Names the blocks that are there before the sync, and refuses a destination that this user cannot write to.
async fn foreign_blocks(
    source: &Cluster,
    destination: &Cluster,
    ability: &BlockAbility,
) -> Result<Vec<String>, OperatorError> {
    let mut warnings = Vec::new();
    let lift = "db.adminCommand({setUserWriteBlockMode: 1, global: false})";
    if is_write_blocked(&destination.client).await? {
        let name = destination.name.as_str();
        if *ability != BlockAbility::Able {
            return Err(OperatorError::new(
                ErrorName::WritesBlocked,
                format!(
                    "User writes of {name} are blocked, also for tidegate. Nothing was changed. If no other tool needs the \
                     block, lift it on {name}: {lift}."
                ),
            ));
        }
        warnings.push(format!(
            "User writes of {name} were blocked before the sync began. That block stays after COMMITTED, when \
             applications need it lifted: {lift}."
        ));
    }
    if is_write_blocked(&source.client).await? {
        let name = source.name.as_str();
        warnings.push(format!(
            "User writes of {name} were blocked before the sync began, and not by it."
        ));
    }
    Ok(warnings)
}

/// Sentences about blocks that are missing, or that stand in the way.
pub(super) fn warnings(document: &SessionDocument, status: &Status) -> Vec<String> {
    let views = [
        status.write_blocks.source(),
        status.write_blocks.destination(),
    ];
    let mut warnings: Vec<_> = views.into_iter().filter_map(|view| view.obstacle).collect();
    // After COMMITTED applications write to the destination.
    if let Some(blocks) = &document.write_blocks
        && document.state != State::Committed
    {
        warnings.extend(blocks.lacking.iter().cloned());
    }
    warnings
}

/// The sentence about a commit that has stopped while applications wait.
pub(super) fn stopped_commit(document: &SessionDocument, status: &Status) -> Option<String> {
    let blocks = document.write_blocks.as_ref();
    let is_ours = blocks
        .and_then(|blocks| blocks.source.as_ref())
        .is_some_and(|block| block.ours);
    let is_blocked = status.write_blocks.source().is_blocked == Some(true);
    (document.state == State::Committing && is_ours && is_blocked).then(|| {
        "User writes of the source are blocked for the commit, whose work has stopped. Call resume to go on with it. A \
         commit with maxBlockSeconds undoes itself at its time."
            .to_owned()
    })
}

/// The entry of `deferredFeatures` for blocks that the sync does without.
pub(super) fn deferral(document: &SessionDocument) -> Option<FeatureDeferral> {
    let reason = match &document.write_blocks {
        None => "The sync was begun by a release without it. A new sync blocks user writes of its destination, with \
                 the privileges setUserWriteBlockMode and bypassWriteBlockingMode on {cluster: true}."
            .to_owned(),
        Some(blocks) if blocks.lacking.is_empty() => return None,
        Some(blocks) => blocks.lacking.join(" "),
    };
    Some(FeatureDeferral {
        name: FEATURE.to_owned(),
        reason,
    })
}

/// The blocks for `/progress`; `None` for a sync that sets none.
pub(super) fn progress(document: &SessionDocument, status: &Status) -> Option<WriteBlocksProgress> {
    let blocks = document.write_blocks.as_ref()?;
    Some(WriteBlocksProgress {
        source: block(blocks.source.as_ref(), &status.write_blocks.source()),
        destination: block(
            blocks.destination.as_ref(),
            &status.write_blocks.destination(),
        ),
    })
}

fn block(block: Option<&WriteBlockDocument>, view: &BlockView) -> Option<BlockProgress> {
    block.map(|block| BlockProgress {
        is_blocked: view.is_blocked,
        is_ours: block.ours,
    })
}
