/** Entry of the thread that reads a TAP device for the network thread, which starts it itself. */
import { workerData } from 'node:worker_threads'
import { readTap, type TapOrder } from '../network/link/tap/read-tap.ts'

readTap(workerData as TapOrder)
