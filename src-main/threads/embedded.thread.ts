/** The thread of the embedded engine: one machine for each. */
import { EmbeddedEngine } from '../engines/embedded/embedded-engine.ts'
import { keepInThread } from '../engines/embedded/keep-memory.ts'
import { serveEngine } from '../engines/serve-engine.ts'
import { serveThread } from './serve-thread.ts'
import { threadUrl } from './thread-url.ts'

const engine = new EmbeddedEngine(keepInThread(threadUrl('memory')))
process.on('uncaughtException', (error) => engine.fault(error))
process.on('unhandledRejection', (error) => engine.fault(error))
serveThread((server) => serveEngine(server, engine))
