/** The thread of the QEMU engine: it supervises all QEMU processes of a host. */
import { serveQemu } from '../engines/qemu/serve-qemu.ts'
import { serveThread } from './serve-thread.ts'

serveThread(serveQemu)
