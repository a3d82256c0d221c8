/** Guests with a disk and a network card on both engines, for what their agents are asked. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { MiB } from '../../../src-shared/base/units.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import { QEMU_PROGRAM } from '../../support/qemu-program.ts'
import { specDrive } from '../../support/spec-drive.ts'
import { exec } from './exec.ts'
import type { Guest, GuestOptions } from './guest.ts'
import { MemoryDisk } from './memory-disk.ts'
import { onQemu } from './on-qemu.ts'

export const MAC = '52:54:00:aa:bb:cc'
const NICS: MachineSpec['nics'] = [{ id: 'nic0', model: 'virtio', mac: MAC }]
const DISK_BYTES = 16 * MiB
/** s that a guest's clock may differ from the host's after it stood still. */
const CLOCK_TOLERANCE = 2

/** What a guest is made with. */
export interface Bench {
  arch: 'i386' | 'x86_64'
  /** Whether this computer has the engine. */
  there: boolean
  /** A shell's words that make a file system on its disk and mount it at /mnt. */
  mountDisk: string
  /** @param folder for its disk */
  options(folder: string): Promise<GuestOptions>
}

export const BENCHES: Record<'embedded' | 'qemu', Bench> = {
  embedded: {
    ...{ arch: 'i386', there: true, mountDisk: mountDisk('/dev/sda') },
    options: () =>
      Promise.resolve({
        spec: { nics: NICS, drives: [specDrive('disk', 'disk')] },
        disks: { disk: new MemoryDisk(new Uint8Array(DISK_BYTES)) },
      }),
  },
  qemu: {
    ...{ arch: 'x86_64', there: QEMU_PROGRAM !== null, mountDisk: mountDisk('/dev/vda') },
    options: async (folder) => {
      const path = join(folder, 'disk.img')
      await writeFile(path, new Uint8Array(DISK_BYTES))
      return { spec: onQemu({ nics: NICS, drives: [specDrive('disk', 'disk', { path })] }) }
    },
  },
}

function mountDisk(device: string): string {
  return `until [ -b ${device} ]; do usleep 100000; done; mke2fs -q ${device} && mount -t ext4 ${device} /mnt`
}

export function agentEvent(guest: Guest, present = true, from = 0): Promise<unknown> {
  return guest.event((event) => event.kind === 'agent' && event.present === present, from)
}

/** What a script prints that must not fail or complain, run by the agent. */
export async function sh(guest: Guest, script: string): Promise<string> {
  const { exitCode, out, err } = await exec(guest, ['/bin/sh', '-c', script])
  expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' })
  return out
}

/** Gives its network card an address, and finds it among those that the agent tells. */
export async function expectAddress(guest: Guest): Promise<void> {
  await sh(guest, 'until [ -e /sys/class/net/eth0 ]; do usleep 100000; done; ip addr add 192.0.2.7/24 dev eth0')
  const found = await guest.engine.guestInterfaces({ machine: guest.machine })
  expect(found.find(({ name }) => name === 'eth0')).toMatchObject({
    mac: MAC,
    addresses: expect.arrayContaining(['192.0.2.7']) as string[],
  })
  expect(found.find(({ name }) => name === 'lo')?.addresses).toContain('127.0.0.1')
}

const WRITTEN = /the file is written/

/** Writes to `path` and says so; comes back when that is held up. */
export async function writeHeldUp(guest: Guest, path: string): Promise<void> {
  const write = `sh -c 'echo text > ${path}; echo "the file is ""written"' &`
  await guest.run(`${write} until grep -q "^State:.D" /proc/$!/status; do usleep 20000; done`)
  expect(guest.output).not.toMatch(WRITTEN)
}

export async function expectWritten(guest: Guest): Promise<void> {
  await guest.expectSerial(WRITTEN)
}

/** Its clock becomes this computer's, if it is not yet. */
export async function expectClockSet(guest: Guest): Promise<void> {
  const near = async (): Promise<boolean> => {
    const asked = Date.now() / 1000
    const told = Number(await sh(guest, 'date +%s'))
    return told >= asked - CLOCK_TOLERANCE && told <= Date.now() / 1000 + CLOCK_TOLERANCE
  }
  await expect.poll(near, { timeout: 30_000 }).toBe(true)
}

/** Shuts down although nobody in the guest hears its power button. */
export async function expectShutDownWithoutButton(guest: Guest): Promise<void> {
  await sh(guest, 'kill -KILL $(pidof input-added) $(pidof dd) 2> /dev/null; until ! pidof dd; do usleep 100000; done')
  await guest.engine.powerButton({ machine: guest.machine })
  expect(await guest.event((event) => event.kind === 'stopped')).toMatchObject({ reason: 'guest-poweroff' })
}
