/** Entry of the thread that writes one memory state of the embedded engine, and ends. */
import { parentPort, workerData } from 'node:worker_threads'
import { keepMemory, type MemoryOrder } from '../engines/embedded/keep-memory.ts'

void keepMemory(workerData as MemoryOrder, (answer) => parentPort!.postMessage(answer))
