import { availableParallelism, totalmem } from 'node:os'
import { MiB } from '../../../src-shared/base/units.ts'
import type { ComputerFacts } from './facts.ts'

/** What this process may use of the computer: less than all of it in a container. */
export function readComputer(): ComputerFacts {
  const constrained = process.constrainedMemory()
  const bytes = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem()
  return { cpus: availableParallelism(), memoryMiB: Math.floor(bytes / MiB) }
}
