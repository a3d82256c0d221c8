/** The thread of the embedded engine: one machine for each. */
import { EmbeddedEngine } from '../engines/embedded/embedded-engine.ts'
import { serveEngine } from '../engines/serve-engine.ts'
import { serveThread } from './serve-thread.ts'

const engine = new EmbeddedEngine()
process.on('uncaughtException', (error) => engine.fault(error))
process.on('unhandledRejection', (error) => engine.fault(error))
serveThread((server) => serveEngine(server, engine))
