/** What passes between whoever starts a headless host and that host. */
import type { WireError } from '../../../src-shared/errors/app-error.ts'

/** The command line's hidden command. */
export const HEADLESS_COMMAND = 'host'

/** The host's one message over Node's process channel. `serving`: it, or another one that was quicker, answers on the socket. */
export type HeadlessReport = { kind: 'serving' } | { kind: 'failed'; error: WireError }
