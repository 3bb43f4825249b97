"""What the routes share: built once when the API starts."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from api.access.local_token import LocalToken, write_token
from api.archive.archiver import Archiver
from api.archive.journal import Journal, open_journal
from api.collections.copying import Copier
from api.collections.model import CurrentModel
from api.collections.words import open_words
from api.duplicates.finder import Finder
from api.duplicates.reports import Reports, open_reports
from api.forgetting.forgetter import Forgetter
from api.forgetting.gone import GonePictures
from api.images.decoders import Decoders
from api.images.originals import Originals
from api.images.preview_store import PreviewStore
from api.images.previews import Previews
from api.images.renditions import Renditions
from api.images.searching import Searcher
from api.images.thumbnails import Thumbnails
from api.jobs.publisher import Publisher, open_publisher
from api.jobs.retention import open_retention
from api.jobs.submitting import Submitter
from api.jobs.webhooks import open_webhooks
from api.kept import Kept, open_kept
from api.replay.cache import CacheRebuilder
from api.replay.dead_letters import DeadLetters
from api.replay.runs import Runs
from api.replay.topic import TopicReplayer
from api.sources.keeper import SourceKeeper
from api.system.overview import Overview
from api.system.watchdog import open_watchdog
from api.uploads.cleaning import UploadCleaner, open_upload_cleaner
from api.uploads.receiving import UnderWay, remove_unfinished
from api.uploads.room import Room
from api.view.view import JobView, open_view
from core.disk import close_to_others
from core.loop_lag import LoopLag
from core.settings import Settings, reveal
from gateways.kafka.connection import client_options
from gateways.ml import ML
from gateways.qdrant import Qdrant
from gateways.targets import Targets
from rules.leaving_out import NO_MEDIA
from topics.sources import open_sources


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes of the API share; `api.routes.deps` gives each what it uses."""

    settings: Settings
    view: JobView
    kept: Kept
    local_token: LocalToken
    publisher: Publisher
    submitter: Submitter
    decoders: Decoders
    previews: Previews
    originals: Originals
    uploads_under_way: UnderWay
    upload_cleaner: UploadCleaner
    room: Room
    searcher: Searcher
    journal: Journal
    archiver: Archiver
    qdrant: Qdrant
    ml: ML
    model: CurrentModel
    targets: Targets
    thumbnails: Thumbnails
    dead_letters: DeadLetters
    replayer: TopicReplayer
    rebuilder: CacheRebuilder
    copier: Copier
    reports: Reports
    duplicates: Finder
    runs: Runs
    overview: Overview
    sources: SourceKeeper
    gone: GonePictures
    forgetter: Forgetter


@asynccontextmanager
async def open_services(settings: Settings, port: int) -> AsyncIterator[Services]:
    """Open all services until the block ends. The topics exist already (topics.admin)."""
    folder = settings.darkroom_data / "api"
    kafka = client_options(settings)
    close_to_others(folder)
    # A scan of a folder above leaves out what we keep, such as previews; who names a folder of uploads has it walked.
    (settings.darkroom_data / NO_MEDIA).touch()
    async with AsyncExitStack() as stack:
        kept = await stack.enter_async_context(open_kept(folder / "kept.db", settings))
        local_token = write_token(folder, port)
        await kept.tell_roots()
        qdrant = await stack.enter_async_context(
            Qdrant(
                settings.qdrant_address,
                api_key=reveal(settings.qdrant_api_key),
                timeout=settings.qdrant_timeout_seconds,
            )
        )
        ml = ML(
            settings.ml_inference_service_url,
            timeout=settings.ml_timeout_seconds,
            token=reveal(settings.ml_token),
            default_model_id=settings.ml_model_id,
        )
        stack.push_async_callback(ml.close)
        words = await stack.enter_async_context(open_words(qdrant))
        model = CurrentModel(ml, kept, settings)
        targets = Targets(qdrant, settings, model.ask)
        decoders = Decoders(settings)
        stack.push_async_callback(decoders.close)
        room = Room(settings.darkroom_data, settings.disk_reserve_bytes)
        renditions = Renditions(settings, decoders, room)
        shown = PreviewStore(folder / "previews", settings.preview_cache_bytes, room)
        publisher = await stack.enter_async_context(open_publisher(kafka, settings.kafka_partitions))
        view = await stack.enter_async_context(
            open_view(folder / "view.db", kafka, settings.kafka_partitions, settings.kafka_retention_hours)
        )
        reports = await stack.enter_async_context(open_reports(folder / "duplicates.db"))
        runs = Runs()
        stack.push_async_callback(runs.close)
        await stack.enter_async_context(open_retention(view, publisher, settings.job_retention_days))
        watchdog = await stack.enter_async_context(open_watchdog(settings, view, publisher))
        remove_unfinished(settings.uploads_folder)
        uploads_under_way = UnderWay()
        upload_cleaner = await stack.enter_async_context(
            open_upload_cleaner(settings, folder / "uploads.db", view, qdrant, uploads_under_way)
        )
        journal = await stack.enter_async_context(open_journal(folder / "archive.db"))
        archiver = Archiver(journal, qdrant, kept.readable_roots)
        await archiver.recover()
        await stack.enter_async_context(open_webhooks(settings, kept))
        lag = LoopLag()
        lag.start()
        stack.push_async_callback(lag.stop)
        submitter = Submitter(view=view, kept=kept, publisher=publisher, qdrant=qdrant, targets=targets, model=model)
        known = await stack.enter_async_context(open_sources(kafka, settings.kafka_partitions))
        sources = SourceKeeper(sources=known, view=view, kept=kept, publisher=publisher, submitter=submitter)
        letters = DeadLetters(view, publisher, settings.dead_letter_max_attempts)
        yield Services(
            settings=settings,
            view=view,
            kept=kept,
            local_token=local_token,
            publisher=publisher,
            submitter=submitter,
            decoders=decoders,
            previews=Previews(renditions, shown),
            originals=Originals(qdrant, kept),
            uploads_under_way=uploads_under_way,
            upload_cleaner=upload_cleaner,
            room=room,
            searcher=Searcher(qdrant, ml, renditions, words),
            journal=journal,
            archiver=archiver,
            qdrant=qdrant,
            ml=ml,
            model=model,
            targets=targets,
            thumbnails=Thumbnails(qdrant),
            dead_letters=letters,
            replayer=TopicReplayer(settings, view, publisher, targets),
            rebuilder=CacheRebuilder(qdrant, publisher, settings.kafka_partitions),
            copier=Copier(qdrant, targets, view),
            reports=reports,
            duplicates=Finder(qdrant, reports),
            runs=runs,
            overview=Overview(settings, view, qdrant, ml, watchdog),
            gone=GonePictures(qdrant, settings.purge_after_days),
            sources=sources,
            forgetter=Forgetter(
                settings,
                qdrant,
                publisher=publisher,
                view=view,
                kept=kept,
                sources=sources,
                letters=letters,
                previews=shown,
            ),
        )
