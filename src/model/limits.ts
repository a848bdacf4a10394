/**
 * Every limit of TabMQ, in one place. Sizes are bytes, times are milliseconds.
 * RocketMQ's own limits keep RocketMQ's values; the storage limits follow measured browser behaviour (docs/decisions/0002-storage.md).
 */

// Names
export const MAX_TOPIC_LENGTH = 127;
/** What RocketMQ's broker allows for retry and dead-letter topics; its clients allow 127 for every topic. */
export const MAX_RETRY_TOPIC_LENGTH = 255;
export const MAX_GROUP_LENGTH = 120;
export const MAX_NAMESPACE_LENGTH = 64;
export const MAX_CLIENT_ID_LENGTH = 128;
export const MAX_QUEUES_PER_TOPIC = 128;
export const MAX_TOPICS = 10_000;
/** Deleted topics, and groups, that are remembered: as long as something of them is in the log, and half as many of the others. */
export const MAX_DELETIONS = 10_000;
/** Groups that were made by an admin. */
export const MAX_GROUPS = 10_000;
/** Pairs of a group and a topic whose offsets the broker keeps, over all groups. */
export const MAX_GROUP_TOPICS = 20_000;
/** Each is a queue of the schedule topic. */
export const MAX_DELAY_LEVELS = MAX_QUEUES_PER_TOPIC;
/** What timerMaxDelay can be: ten years. */
export const MAX_TIMER_DELAY = 3653 * 24 * 3_600_000;

// Messages
export const MAX_BODY_BYTES = 4 * 1024 * 1024;
export const MAX_PROPERTIES_BYTES = 32_767;
/** Kept free in what is sent: a copy that is tried again, or a dead letter, says where it comes from, and why. */
export const COPY_PROPERTIES_BYTES = 2048;
export const MAX_ERROR_TEXT = 400;
export const MAX_MESSAGE_GROUP_LENGTH = 64;
/** What RocketMQ adds for each member when it sizes a batch. */
export const BATCH_MEMBER_OVERHEAD = 22;
/** The longest record: the fixed part, the longest body, topic and properties. */
export const MAX_RECORD_BYTES = 91 + MAX_BODY_BYTES + MAX_TOPIC_LENGTH + MAX_PROPERTIES_BYTES;

// What crosses the port
/** A batch is closed when it holds this much; LIMITS of Chromium make larger frames no faster. */
export const BATCH_TARGET_BYTES = 256 * 1024;
export const BATCH_MAX_RECORDS = 1024;
/** A frame may hold one user batch, whose bodies and properties RocketMQ limits to 4 MiB, plus the records' fixed parts. */
export const MAX_FRAME_BYTES = 8 * 1024 * 1024;
export const MAX_FRAME_RECORDS = 32_768;
/**
 * Unanswered bytes a client keeps at the broker; further batches wait in the tab. Large enough for a loop that sends
 * without awaiting: answers cannot come in while it runs, and the broker must not run dry meanwhile.
 */
export const MAX_IN_FLIGHT_BYTES = 48 * 1024 * 1024;
/** Unanswered frames, likewise; well below MAX_CALLS_PER_SESSION, which other calls need too. */
export const MAX_IN_FLIGHT_FRAMES = 256;
/** The same when the page goes: below MAX_CALLS_PER_SESSION, because other calls are on their way too. */
export const MAX_HANDED_OVER_FRAMES = 960;
/** Accepted but unanswered bytes a tab may hold before `send` is refused with FLOW_CONTROL. */
export const MAX_UNSENT_BYTES = 256 * 1024 * 1024;
/** Bytes the broker holds that are not yet committed, over all clients. */
export const MAX_UNCOMMITTED_BYTES = 512 * 1024 * 1024;
/** Pages of the key index that one frame of messages that are sent again may need. */
export const MAX_RESEND_LOOKUPS = 2 ** 18;
export const MAX_CALL_ID_LENGTH = 64;
export const MAX_CALL_ARGUMENTS = 4;
export const MAX_CALLS_PER_SESSION = 1024;
export const MAX_SESSIONS = 1024;
/** Topics of which it is remembered that a client has sent to them. */
export const MAX_SENT_TOPICS = 16;
export const MAX_LOCK_NAME_LENGTH = 256;
export const MAX_LIBRARY_VERSION_LENGTH = 64;

// Consumers
export const MAX_MEMBERS_PER_SESSION = 256;
export const MAX_SUBSCRIPTIONS_PER_MEMBER = 256;
export const MAX_TAGS_PER_EXPRESSION = 256;
export const MAX_EXPRESSION_LENGTH = 8192;
/** Words, literals and signs of an SQL expression, and how deep its parentheses go. */
export const MAX_EXPRESSION_TOKENS = 1024;
export const MAX_EXPRESSION_DEPTH = 32;
/** Of a filter in WebAssembly: its bytes, the memory it begins with in pages of 64 KiB, the places of a table. */
export const MAX_FILTER_MODULE_BYTES = 256 * 1024;
export const MAX_FILTER_PAGES = 32;
export const MAX_FILTER_TABLE = 4096;
/** Such filters at one broker. */
export const MAX_FILTER_MODULES = 32;
/** What one message may cost in such a filter, counted in bytes of instructions: so much, and more for a longer one, up to a limit. */
export const FILTER_FUEL = 2 ** 20;
export const FILTER_FUEL_PER_BYTE = 64;
export const MAX_FILTER_FUEL = 2 ** 24;
/** Records that one read looks into for a filter that needs more than the tag code, their bytes, and ms that it takes. */
export const MAX_FILTERED_RECORDS = 4096;
export const MAX_FILTERED_BYTES = 4 * 1024 * 1024;
export const MAX_FILTER_TIME = 8;
export const MAX_PULL_BATCH = 1024;
/** A client id, and a number that the broker puts behind it. */
export const MAX_MEMBER_ID_LENGTH = 256;
/** Queues that one member may hold, those it is letting go included. */
export const MAX_HELD_QUEUES = 8192;
/** Queues named in one call of a pull consumer. */
export const MAX_QUEUES_PER_CALL = 1024;
/** Queues that a group's leader may hand out: those of all its topics. */
export const MAX_SHARED_QUEUES = MAX_SUBSCRIPTIONS_PER_MEMBER * MAX_QUEUES_PER_TOPIC;
/** What a member is told before it asks again. */
export const MAX_UNTOLD_ERRORS = 8;
export const MAX_CONSUME_CONCURRENCY = 1000;
/** Rows of an application's outbox that are read, and sent, at once; parked ones that are named. */
export const MAX_RELAYED_ROWS = 64;
export const MAX_PARKED_ROWS = 1000;
/** Messages that one call of a listener sends through its context. */
export const MAX_CONTEXT_MESSAGES = 1024;
/** Stretches of messages of one queue that a group has finished before the one its offset waits for. */
export const MAX_DONE_RANGES = 4096;
/** RocketMQ's popBatchNums: messages that one `receive` gives. */
export const MAX_RECEIVE = 32;
/** RocketMQ's proxy: how long a message may be one simple consumer's, and how long it is unless somebody says otherwise. */
export const MAX_INVISIBLE_DURATION = 12 * 3_600_000;
export const DEFAULT_INVISIBLE_DURATION = 60_000;
/** Messages that a group of simple consumers has been given and has not finished, over all its queues. */
export const MAX_CLAIMS = 2000;
/** Of an idempotent consumer: characters of a key; keys that a group has in hand; how long a finished one is remembered, ms. */
export const MAX_IDEMPOTENCE_KEY_LENGTH = 256;
/** Keys of the messages that a listener is given in one call: a record that it sends through its context has to hold them. */
export const MAX_BATCH_KEY_BYTES = 16 * 1024;
export const MAX_KEYS_IN_HAND = 100_000;
export const DEFAULT_IDEMPOTENCE_WINDOW = 24 * 3_600_000;
export const MAX_IDEMPOTENCE_WINDOW = 30 * 24 * 3_600_000;
/** Finished keys that are remembered of one group; more of them, and the oldest are forgotten although their time is not up. A row of the store has so many. */
export const MAX_FINISHED_KEYS = 100_000;
export const FINISHED_KEYS_PER_PAGE = 250;
/** Groups of which finished keys are remembered. */
export const MAX_IDEMPOTENT_GROUPS = 32;
/** Messages of one queue that wait behind others of their messageGroup, until it is not looked any further. */
export const MAX_CLAIMED_AHEAD = 256;
/** What a consumer takes in unless its options say otherwise; RocketMQ's defaults, its 100 MiB a queue brought down to a tab's size. */
export const DEFAULT_PULL_BATCH = 32;
export const DEFAULT_THRESHOLD_FOR_QUEUE = 1000;
export const DEFAULT_THRESHOLD_SIZE_FOR_QUEUE = 16 * 1024 * 1024;
/** RocketMQ's consumeConcurrentlyMaxSpan: how far a queue may run ahead of its oldest unfinished message. */
export const CONSUME_MAX_SPAN = 2000;
/** Records in one answer to a fetch or pull end after this many bytes (at least one record is always given). */
export const FETCH_TARGET_BYTES = 1024 * 1024;
/** Queue entries one read looks at before it answers "nothing matched so far". */
export const MAX_SCANNED_ENTRIES = 8192;

/** Notices that wait in one client's inbox, and their bytes there and in all inboxes together. */
export const MAX_NOTICES = 256;
export const MAX_INBOX_BYTES = 16 * 1024 * 1024;
export const MAX_NOTICE_BYTES = 128 * 1024 * 1024;
/** Requests of one producer that wait for their reply. */
export const MAX_PENDING_REQUESTS = 1024;

/** Records in one call of an export or an import end after this many bytes. */
export const LOG_BATCH_BYTES = 1024 * 1024;
export const MAX_IMPORT_ID_LENGTH = 64;
/** Offsets of a queue must not run out. */
export const MAX_IMPORTED_OFFSET = 2 ** 50;

// Transactions
/** Half messages whose end nobody knows yet. Fewer than MAX_DONE_RANGES, so that each can be finished by itself. */
export const MAX_PENDING_TRANSACTIONS = 4000;
/** Producer groups that one client may answer for. */
export const MAX_PRODUCER_GROUPS = 256;

// Queries
export const DEFAULT_QUERY_MESSAGES = 32;
/** RocketMQ's maxMsgsNumBatch. */
export const MAX_QUERY_MESSAGES = 64;
export const DEFAULT_DEAD_LETTERS = 1000;
export const MAX_RESENT_IDS = 10_000;
/** Messages that wait, as one list tells them: as many as there can be open transactions. */
export const DEFAULT_WAITING = 100;
export const MAX_WAITING = 4000;
/** A key is a part of the properties. */
export const MAX_KEY_LENGTH = MAX_PROPERTIES_BYTES;
/** Segments of the key index that one call looks at; the caller goes on from there. */
export const MAX_SEGMENTS_PER_QUERY = 128;

// Trace
/** Trace records in one message, and its body; RocketMQ's maxMsgSize of a trace message. */
export const TRACE_BATCH_RECORDS = 64;
export const MAX_TRACE_BYTES = 128_000;
/** In one call; so many do not wait for their time. */
export const TRACE_FRAME_RECORDS = 1024;
/** Trace records that wait in a tab to be sent; what comes on top is dropped, and counted. */
export const MAX_TRACE_WAITING = 8192;
/** Successes that a tab tells at once, and how many more a second: of a backlog that is worked off only its beginning. Failures have no such budget, only MAX_TRACE_WAITING. */
export const MAX_TRACE_BURST = 10_000;
export const TRACE_RATE = 1000;
/** How long the first of them waits when there was none for a while, and how often they are sent otherwise, ms. */
export const TRACE_DELAY = 20;
export const TRACE_INTERVAL = 1000;
/** Trace messages that are kept: older ones are deleted before their time. */
export const MAX_TRACE_MESSAGES = 16_384;
/** Stored records that one `messageTrace` looks at, copies and trace messages each. */
export const MAX_TRACED_RECORDS = 1024;
export const MAX_TRACE_EVENTS = 4096;
/** Of trace messages; a tab's own have 10 KB. */
export const MAX_TRACED_BYTES = 16 * 1024 * 1024;

// Storage
/** One row of the log store stays under Chromium's 64 KiB cliff, header included. */
export const CHUNK_MAX_BYTES = 60 * 1024;
/** A row of a commit that fills it, and what many small rows become; between 64 KiB and 1 MiB Chromium is slowest. */
export const BLOCK_MAX_BYTES = 1024 * 1024;
/** Rows smaller than this are merged in the background, when there are many of them. */
export const SMALL_ROW_BYTES = 32 * 1024;
/** No row that is younger is removed: a host that has been replaced and does not know it yet relies on their places being taken. */
export const ROW_REST = 15_000;
/** What gathers for one commit; frames beyond wait for the next. Bounds a transaction, and the indexer's memory. */
export const COMMIT_TARGET_BYTES = 4 * 1024 * 1024;
/** Log bytes between two checkpoints: what a start after a crash replays, and the commits on their way besides. */
export const CHECKPOINT_INTERVAL_BYTES = 2 * 1024 * 1024;
export const QUEUE_PAGE_ENTRIES = 1024;
/** Entries of a page of the key index: 20 KiB. */
export const INDEX_PAGE_ENTRIES = 1024;
/** A segment of the key index is sealed behind so much of the log, full or not: what is read to make it again, at most. */
export const MAX_SEGMENT_LOG_BYTES = 256 * 1024 * 1024;
/** Sealed segments of the key index that wait in memory to be stored, 1.3 MiB each; beyond, the log is read again for them. */
export const MAX_UNSTORED_SEGMENTS = 8;
/** Rows of the log, queue pages and index pages that a broker keeps in memory for reading, all together. */
export const CACHE_BYTES = 64 * 1024 * 1024;
/** Pages of consume queues that wait in memory to be stored; beyond, a checkpoint is due. 20 KiB each at most. */
export const MAX_DIRTY_PAGES = 2048;
/** Stretches longer than a page that a queue's offsets leave out, in an imported log. */
export const MAX_QUEUE_GAPS = 1024;
/** How often the times of an imported log go back: each makes a segment of the key index. */
export const MAX_SETBACKS = 1024;
/** How far behind the last known position the log goes on after a loss: more than can be written before tabs note it. */
export const LOSS_GAP_BYTES = 2 ** 36;
/** Losses that a log remembers. */
export const MAX_LOSSES = 64;
/** A mark beyond this is not believed: no log gets that long, and positions must not run out. */
export const MAX_WITNESS_POSITION = 2 ** 50;
/** Likewise an epoch: one takes a new broker each. */
export const MAX_EPOCH = 2 ** 50;
export const MAX_WITNESS_GROUPS = 256;
/** Failed stretches of sends that were answered before, kept for those who ask. */
export const MAX_LOST_STRETCHES = 256;
/** Damaged rows that diagnostics names one by one. */
export const MAX_DAMAGE_REPORTS = 1000;

/** The least that a log may be limited to: two blocks, of which the older goes. */
export const MIN_STORE_BYTES = 2 * 1024 * 1024;
/** What retention deletes in one transaction, unless the log is limited to little. */
export const MAX_SEGMENT_BYTES = 16 * 1024 * 1024;

// Times
/** RocketMQ's cleanResourceInterval: how often it is looked what is to be deleted. */
export const CLEAN_INTERVAL = 10_000;
export const CONNECT_TIMEOUT = 10_000;
/** How long a worker of the next generation may wait behind a host that is thought to hang; broker/lease.ts finds out sooner. */
export const SUCCESSION_TIMEOUT = 20_000;
export const CALL_TIMEOUT = 10_000;
export const LONG_POLL = 15_000;
export const MAX_FLUSH_TIMEOUT = 2 ** 31 - 1;
/** How much later than the broker's own limit a client gives a long poll up. */
export const LONG_POLL_GRACE = 5_000;
/** A member that has not fetched for this long loses its queues (frozen tab). */
export const MEMBER_EXPIRY = 30_000;
/** How long a group waits for its leader to say who gets which queue. */
export const ALLOCATION_TIMEOUT = 3_000;
export const ROUTE_MAX_AGE = 30_000;
/** How long a client may take to say that it has heard a notice, until somebody else is told. */
export const NOTICE_PATIENCE = 5_000;
/** How long after a broker's death it is not held against anybody that it has not found the next one yet. */
export const REJOIN_GRACE = 5_000;
/** How often a tab notes how far the store has come, at most. */
export const WITNESS_INTERVAL = 1000;
