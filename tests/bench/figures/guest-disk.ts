/**
 * What a guest of the embedded engine gets from its disk, through the engine's thread and the storage thread: a qcow2 on the host's disk. Times are the guest's
 * own, its caches are emptied before each read; what limits is the emulated processor, too.
 */
import { MiB } from '../../../src-shared/base/units.ts'
import { collect } from '../../guest/support/exec.ts'
import type { Figure } from '../figure.ts'
import { answersAtPrompt, benchHost, type BenchHost } from '../support/bench-host.ts'

const RUNS = 3
const DISK_MIB = 192
const PIECE_MIB = 64
const FILES = 600
const FILE_KIB = 4

const FORGET = 'sync; echo 3 > /proc/sys/vm/drop_caches'
/** Prints hundredths of a second. */
const NOW = `tr -d . < /proc/uptime | cut -d ' ' -f 1`

interface Work {
  name: string
  unit: 'MB/s' | '/s'
  /** Of the unit, in all. */
  amount: number
  before: string
  timed: string
}

const WORK: Work[] = [
  {
    name: `Guest writes ${PIECE_MIB} MiB in order, with the sync after them`,
    unit: 'MB/s',
    amount: (PIECE_MIB * MiB) / 1e6,
    before: FORGET,
    timed: `dd if=/dev/zero of=/dev/sda bs=1M count=${PIECE_MIB} conv=fsync`,
  },
  {
    name: `Guest reads ${PIECE_MIB} MiB in order`,
    unit: 'MB/s',
    amount: (PIECE_MIB * MiB) / 1e6,
    before: FORGET,
    timed: `dd if=/dev/sda of=/dev/null bs=1M count=${PIECE_MIB}`,
  },
  {
    name: `Guest reads ${PIECE_MIB / 4} MiB in order, 64 KiB at a time, without its cache`,
    unit: 'MB/s',
    amount: ((PIECE_MIB / 4) * MiB) / 1e6,
    before: FORGET,
    timed: `dd if=/dev/sda of=/dev/null bs=64k count=${(PIECE_MIB / 4) * 16} iflag=direct`,
  },
  {
    name: `Guest makes ${FILES} files of ${FILE_KIB} KiB, with the sync after them`,
    unit: '/s',
    amount: FILES,
    before: `umount /mnt 2> /dev/null; mke2fs -q /dev/sda ${(DISK_MIB / 2) * 1024} && mount -t ext4 /dev/sda /mnt; ${FORGET}`,
    timed: `cd /mnt; text=$(head -c ${FILE_KIB * 768} /dev/urandom | base64); i=0; while [ $i -lt ${FILES} ]; do echo "$text" > f$i; i=$((i + 1)); done; sync`,
  },
  {
    name: `Guest reads ${FILES} files of ${FILE_KIB} KiB, those made last first`,
    unit: '/s',
    amount: FILES,
    before: FORGET,
    timed: 'ls -r /mnt/f* | xargs cat > /dev/null',
  },
]

export async function guestDiskFigures(): Promise<Figure[]> {
  const host = await benchHost({ engine: 'embedded', memoryMiB: 256, newDiskBytes: DISK_MIB * MiB })
  try {
    const { id, machines } = host
    await machines.start({ id })
    await machines.waitBooted({ id })
    await answersAtPrompt(machines, id, 0)
    await run(host, 'until [ -b /dev/sda ]; do sleep 1; done')
    const values = WORK.map((): number[] => [])
    for (let round = 0; round < RUNS; round++)
      for (const [at, { before, timed, amount }] of WORK.entries()) {
        await run(host, before)
        const printed = await run(host, `a=$(${NOW}); ( ${timed} ) || exit 1; b=$(${NOW}); echo took $((b - a))`)
        values[at]!.push(amount / (Number(/took (\d+)/.exec(printed)![1]) / 100))
      }
    await run(host, 'umount /mnt')
    await machines.powerOff({ id })
    return WORK.map(({ name, unit }, at) => ({ name, unit, values: values[at]! }))
  } finally {
    await host.close()
  }
}

/** @returns what a command of the guest's shell prints */
async function run({ machines, id }: BenchHost, script: string): Promise<string> {
  const command = { path: 'sh', args: ['-c', script], env: [], input: false, limitMs: null }
  const { out, err, exitCode } = await collect((await machines.exec({ id, command })).stream)
  if (exitCode === 0) return out
  throw new Error(`The guest’s “${script}” failed: ${err}`)
}
