/**
 * Power-on on QEMU through the host, as the window does it, beside the same QEMU with the same arguments by hand, alternating. To the first serial byte: the
 * kernel's decompressor is told to print (earlyprintk), so that little of the guest is in the figure and what Coppice adds shows. To the prompt: as it is.
 */
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BOOT_COMPLETE_MARK } from '../../../src-shared/model/boot-mark.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import type { Figure } from '../figure.ts'
import { BareQemu } from '../support/bare-qemu.ts'
import { benchHost, type BenchHost } from '../support/bench-host.ts'
import { qemuRecord } from '../support/shown-machine.ts'

const RUNS = { firstByte: 8, prompt: 5 }
const TALKATIVE = ' earlyprintk=ttyS0'
const ANYTHING = /[^]/

export async function powerOnFigures(): Promise<Figure[]> {
  const host = await benchHost({ engine: 'qemu' })
  try {
    const { id, machines } = host
    // No link is up at the start of a machine, which the bare command does not do.
    await machines.update({ id, patch: { nics: [] } })
    // The first start reads all files from the disk.
    const spec = await specOf(host)
    const prompt = { ours: [] as number[], bare: [] as number[] }
    for (let run = 0; run < RUNS.prompt; run++) {
      prompt.ours.push(await toPrompt(host))
      prompt.bare.push(await bare(host, spec, BOOT_COMPLETE_MARK))
    }
    const { boot } = (await machines.get({ id })).config!
    if (boot.kind !== 'kernel') throw new Error('The sample boots by kernel.')
    await machines.update({ id, patch: { boot: { ...boot, cmdline: boot.cmdline + TALKATIVE } } })
    const talkative = await specOf(host)
    const first = { ours: [] as number[], bare: [] as number[] }
    for (let run = 0; run < RUNS.firstByte; run++) {
      first.ours.push(await toFirstByte(host))
      first.bare.push(await bare(host, talkative, ANYTHING))
    }
    return [
      {
        name: 'Power-on to the first serial byte, Coppice Linux amd64, QEMU',
        unit: 'ms',
        values: first.ours,
        anchor: { name: 'the same QEMU by hand', values: first.bare },
        target: '≤ 60 ms more',
      },
      {
        name: 'Power-on to prompt, Coppice Linux amd64, QEMU',
        unit: 'ms',
        values: prompt.ours,
        anchor: { name: 'the same QEMU by hand', values: prompt.bare },
        target: '≤ 1.05×',
      },
    ]
  } finally {
    await host.close()
  }
}

/** What the planner makes of it now. */
async function specOf({ machines, id }: BenchHost): Promise<MachineSpec> {
  await machines.start({ id })
  await machines.waitBooted({ id })
  const record = await qemuRecord(id)
  await machines.powerOff({ id })
  return record!.spec
}

async function toPrompt({ machines, id }: BenchHost): Promise<number> {
  const from = performance.now()
  await machines.start({ id })
  await machines.waitBooted({ id })
  const ms = performance.now() - from
  await machines.powerOff({ id })
  return ms
}

/** A console is opened as soon as there is one. */
async function toFirstByte({ machines, id }: BenchHost): Promise<number> {
  const from = performance.now()
  const starting = machines.start({ id })
  for (;;) {
    const { opening, stream } = await machines.console({ id, port: 0, from: null })
    if (opening.live) {
      await stream.read()
      const ms = performance.now() - from
      stream.close()
      await starting
      await machines.powerOff({ id })
      return ms
    }
    stream.close()
    await sleep(1)
  }
}

async function bare({ folder }: BenchHost, spec: MachineSpec, mark: string | RegExp): Promise<number> {
  const qemu = await BareQemu.start(spec, path.join(folder, 'bare'))
  try {
    return await qemu.printed(mark)
  } finally {
    await qemu.close()
  }
}
