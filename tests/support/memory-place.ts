import { dirname, join } from 'node:path'
import type { MemoryPlace } from '../../src-shared/threads/engine-thread.ts'

/** Of a memory state with the pages beside it. */
export function memoryPlace(path: string): MemoryPlace {
  return { path, pages: join(dirname(path), 'pages') }
}
