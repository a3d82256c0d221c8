/**
 * Snapshots of a running Coppice Linux through the host, as the window takes them. How long the guest stands still is what a reader of its console sees: the
 * longest time without a line of a loop that prints one every few ms. How much a snapshot adds is what the machine's folder takes more afterwards.
 */
import { lstat, readdir } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MiB } from '../../../src-shared/base/units.ts'
import type { Figure } from '../figure.ts'
import { answersAtPrompt, benchHost, type BenchHost } from '../support/bench-host.ts'
import { elapsed } from '../support/bench-storage.ts'

const MEMORY_MIB = [128, 512, 1024]
const ENGINES = ['embedded', 'qemu'] as const
const RUNS = 3
/** Seconds between two lines. */
const TICK = 0.02
/** ms of lines before and after a snapshot. */
const MARGIN = 500
/** Bytes of what the system counts room in (POSIX.1-2017, sys/stat.h: st_blocks). */
const STAT_BLOCK = 512

export async function snapshotFigures(memoryMiB: readonly number[] = MEMORY_MIB): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const engine of ENGINES) for (const memory of memoryMiB) figures.push(...(await measure(engine, memory)))
  return figures
}

async function measure(engine: (typeof ENGINES)[number], memoryMiB: number): Promise<Figure[]> {
  const host = await benchHost({ engine, memoryMiB, newDiskBytes: 64 * MiB })
  try {
    const { id, machines } = host
    await machines.start({ id })
    await machines.waitBooted({ id })
    // Drivers are loaded after the first prompt.
    await answersAtPrompt(machines, id, 0)
    const { bundle } = await machines.get({ id })
    const [total, restore, pause, added]: [number[], number[], number[], number[]] = [[], [], [], []]

    let last = ''
    for (let taken = 0; taken < 2; taken++) {
      const before = await roomOf(bundle)
      total.push(await elapsed(async () => (last = await take(host, `idle ${taken}`))))
      added.push(((await roomOf(bundle)) - before) / MiB)
    }
    for (let run = 0; run < RUNS; run++) {
      restore.push(
        await elapsed(async () => {
          await host.finish((await host.snapshots.restore({ machine: id, snapshot: last, keep: null })).task)
          await answersAtPrompt(machines, id, run + 1)
        }),
      )
    }
    await machines.type({ id, text: `while :; do echo tick; sleep ${TICK}; done\n` })
    for (let run = 0; run < RUNS; run++) {
      const still = watchTicks(host)
      await sleep(MARGIN)
      total.push(await elapsed(() => take(host, `at work ${run}`)))
      await sleep(MARGIN)
      pause.push(await still.end())
    }
    await machines.powerOff({ id })
    const of = `${memoryMiB} MiB, ${engine === 'qemu' ? 'QEMU' : 'embedded engine'}`
    const [first, second] = added
    return [
      { name: `Snapshot, the guest stands still, ${of}`, unit: 'ms', values: pause },
      { name: `Snapshot, from the call to done, ${of}`, unit: 'ms', values: total },
      { name: `Restore to an answering prompt, ${of}`, unit: 'ms', values: restore },
      {
        name: `Room of the second snapshot of an idle guest, ${of}`,
        ...{ unit: 'MiB', values: [second!], anchor: { name: 'the first', values: [first!] }, target: '≤ 0.03×' },
      },
    ]
  } finally {
    await host.close()
  }
}

/** @returns the snapshot's id */
async function take({ snapshots, finish, id }: BenchHost, label: string): Promise<string> {
  return (await finish((await snapshots.take({ machine: id, label })).task))!
}

/** @returns `end` gives the longest time without output, ms */
function watchTicks({ machines, id }: BenchHost): { end(): Promise<number> } {
  let longest = 0
  let last = performance.now()
  let ended = false
  const watch = async (): Promise<void> => {
    while (!ended) {
      // Its console ends with the machine's life: then the next life's is looked for.
      const { opening, stream } = await machines.console({ id, port: 0, from: Number.MAX_SAFE_INTEGER })
      for (let bytes = opening.live ? await stream.read() : null; bytes && !ended; bytes = await stream.read()) {
        const now = performance.now()
        longest = Math.max(longest, now - last)
        last = now
      }
      stream.close()
      await sleep(1)
    }
  }
  const watching = watch()
  // Told by `end`.
  watching.catch(() => {})
  return {
    end: async () => {
      ended = true
      await watching
      return longest
    },
  }
}

/** Bytes that a folder takes; a file with several names counts once. */
async function roomOf(folder: string): Promise<number> {
  const rooms = new Map<number, number>()
  for (const name of await readdir(folder, { recursive: true })) {
    const { ino, blocks } = await lstat(path.join(folder, name))
    rooms.set(ino, blocks * STAT_BLOCK)
  }
  return [...rooms.values()].reduce((sum, room) => sum + room, 0)
}
