/** The disks of a machine in the window: what they take, another size, compacting and checking, and new ones. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { page } from 'vitest/browser'
import HardwareTab from '../../src-renderer/pages/machine/hardware/HardwareTab.svelte'
import { typedSize } from '../../src-renderer/pages/machine/hardware/disks/disk-words.ts'
import type { WindowState } from '../../src-renderer/state/window-state.svelte.ts'
import type { MachineView } from '../../src-shared/api/machines.ts'
import { GiB, MiB } from '../../src-shared/base/units.ts'
import { AppError } from '../../src-shared/errors/app-error.ts'
import type { Drive, MachineConfig } from '../../src-shared/model/machine.ts'
import { all } from './support/fake-disks.ts'
import { FakeHost } from './support/fake-host.ts'
import { fakeLive, fakeMachine } from './support/fake-objects.ts'
import { connected, show as showPart } from './support/show.ts'

let host: FakeHost
let state: WindowState
let machine: MachineView

const disk = (id: string, change: Partial<Drive> = {}): Drive => ({
  ...{ id, kind: 'disk', path: `disks/${id}.qcow2`, format: 'qcow2', readOnly: false, limits: null },
  ...change,
})
const device = (name: string | RegExp) => page.getByRole('group', { name: 'Devices' }).getByRole('button', { name })
const select = (name: string) => page.getByRole('combobox', { name })
const button = (name: string | RegExp) => page.getByRole('button', { name })

async function begin(drives: Drive[], view: Partial<MachineView> = {}, config: Partial<MachineConfig> = {}): Promise<void> {
  machine = host.put(fakeMachine('web-1', view, { drives, ...config }))
  state = await connected(host)
  await showPart(state, HardwareTab, { machine })
}

beforeEach(async () => {
  await page.viewport(1280, 800)
  localStorage.clear()
  host = new FakeHost()
})
afterEach(() => state.dispose())

describe('a disk', () => {
  test('shows what it takes of its size, as a picture and in words', async () => {
    host.disks.states.set('disk0', { measure: { size: 20 * GiB, storedBytes: 3 * GiB, belowBytes: 2 * GiB, resizable: true } })
    await begin([disk('disk0')])
    await device(/^Disk/).click()
    await expect.element(page.getByText('5 GiB of 20 GiB used, 2 GiB of it in snapshots')).toBeVisible()
    await expect.element(page.getByRole('meter', { name: 'Room used' })).toHaveAttribute('aria-valuenow', '25')
  })

  test('is made larger', async () => {
    await begin([disk('disk0')])
    await device(/^Disk/).click()
    await button('Resize…').click()
    await expect.element(button('Make larger')).toHaveAttribute('aria-disabled', 'true')
    await page.getByRole('textbox', { name: 'Size' }).fill('32 GiB')
    await expect.element(page.getByText('12 GiB more.', { exact: false })).toBeVisible()
    await button('Make larger').click()
    await expect.poll(() => host.disks.resized).toEqual([{ machine: machine.id, drive: 'disk0', size: 32 * GiB, shrink: false }])
  })

  test('is made smaller only with a second word, and what the host says of its partitions stays in sight', async () => {
    await begin([disk('disk0')])
    await device(/^Disk/).click()
    await button('Resize…').click()
    await page.getByRole('textbox', { name: 'Size' }).fill('10')
    await expect.element(button('Make smaller')).toHaveAttribute('aria-disabled', 'true')
    const sentence = 'It cannot have 10 GiB: its partition 1 ends at 12 GiB. Shrink that partition in the guest first.'
    host.failures.set('disks.resize', AppError.invalid([{ path: 'size', message: sentence }]).toWire())
    await page.getByRole('checkbox', { name: 'What is cut off may be lost' }).click()
    await button('Make smaller').click()
    await expect.element(page.getByText(sentence)).toBeVisible()
    host.failures.clear()
    await button('Make smaller').click()
    await expect.poll(() => host.disks.resized).toEqual([{ machine: machine.id, drive: 'disk0', size: 10 * GiB, shrink: true }])
  })

  test('is compacted as a task that can be cancelled, and tells what came of it', async () => {
    host.autoFinishTasks = false
    await begin([disk('disk0')])
    await device(/^Disk/).click()
    await button('Compact').click()
    await expect.element(page.getByRole('progressbar', { name: 'Compacting “disk0.qcow2”' })).toBeVisible()
    await expect.element(button('Resize…')).toHaveAttribute('aria-disabled', 'true')
    await button('Cancel').click()
    await expect.element(page.getByRole('progressbar', { name: 'Compacting “disk0.qcow2”' })).not.toBeInTheDocument()
    await expect.element(button('Compact')).not.toHaveAttribute('aria-disabled', 'true')
    expect(host.calls.filter((call) => call === 'tasks.cancel')).toHaveLength(1)
  })

  test('that is damaged is offered to be repaired', async () => {
    host.disks.check = { corruptions: 2, leaks: 0, repairedCorruptions: 0, repairedLeaks: 0, findings: ['Cluster 5 is used twice.'] }
    const problem = new AppError('corrupt', 'The disk image is damaged.').toWire()
    host.disks.states.set('disk0', { measure: null, problem, why: { ...all('The disk cannot be looked at.'), check: null, repair: null } })
    await begin([disk('disk0')])
    await device(/^Disk/).click()
    await expect.element(page.getByText('The disk image is damaged.')).toBeVisible()
    await button('Check').click()
    const question = page.getByRole('alertdialog', { name: 'The disk of “web-1” is damaged' })
    await expect.element(question).toHaveTextContent('2 places that would give wrong data')
    await expect.element(question).toHaveTextContent('Cluster 5 is used twice.')
    await question.getByRole('button', { name: 'Repair' }).click()
    await expect.poll(() => host.calls).toContain('images.repair')
    await expect.element(page.getByText('Everything that was found is mended.', { exact: false })).toBeVisible()
  })

  test('that is taken out leaves its image, which is deleted when that is wished', async () => {
    await begin([disk('disk0'), disk('data', { path: '/images/data.img' })])
    await device(/Disk 2/).click()
    await button('Remove the disk').click()
    await device(/^Disk/).click()
    await button('Remove the disk').click()
    await button('Save').click()
    await expect.element(page.getByText('disk0.qcow2 stays in its folder.', { exact: false })).toBeVisible()
    await button('Delete…').click()
    const question = page.getByRole('alertdialog', { name: 'Delete disk0.qcow2 of “web-1”?' })
    await expect.element(question).toHaveTextContent('lost for good')
    await question.getByRole('button', { name: 'Delete' }).click()
    await expect.poll(() => host.disks.deleted).toEqual(['disks/disk0.qcow2'])
  })

  test('on the network is told by its address, and what is its server’s work is not offered', async () => {
    await begin([disk('disk0', { path: 'nbd://server/disk', format: 'raw' })])
    await device('Disk nbd://server/disk').click()
    await expect.element(page.getByText('A disk on the network, reached when the machine starts.')).toBeVisible()
    await expect.element(button('Compact')).not.toBeInTheDocument()
  })

  test('says why something cannot be done with it now', async () => {
    host.disks.states.set('disk0', { why: all('The snapshot “before” keeps this file as it is.') })
    await begin([disk('disk0')])
    await device(/^Disk/).click()
    for (const name of ['Resize…', 'Compact', 'Check']) await expect.element(button(name)).toHaveAttribute('aria-disabled', 'true')
    await button('Compact').hover()
    await expect.element(page.getByText('The snapshot “before” keeps this file as it is.')).toBeVisible()
  })

  test('of a machine that runs grows where its engine can', async () => {
    host.disks.states.set('disk0', { why: { ...all('This can be done only while the machine is off.'), grow: null } })
    await begin([disk('disk0')], { state: 'running', engine: 'qemu', live: fakeLive() })
    await device(/^Disk/).click()
    await button('Resize…').click()
    await page.getByRole('textbox', { name: 'Size' }).fill('10 GiB')
    await expect.element(page.getByText('This can be done only while the machine is off.')).toBeVisible()
    await page.getByRole('textbox', { name: 'Size' }).fill('30 GiB')
    await expect.element(page.getByText('The guest sees it at once', { exact: false })).toBeVisible()
    await button('Make larger').click()
    await expect.poll(() => host.disks.resized.length).toBe(1)
  })

  test('is plugged in elsewhere, cached otherwise, limited and moved', async () => {
    await begin([disk('disk0'), disk('disk1')])
    await device(/Disk 2/).click()
    await select('Plugged into').click()
    await page.getByRole('option', { name: /NVMe/ }).click()
    await select('Cache').click()
    await page.getByRole('option', { name: /Unsafe/ }).click()
    await expect.element(page.getByText('may be lost, or the disk damaged', { exact: false })).toBeVisible()
    await page.getByRole('textbox', { name: 'Most operations a second' }).fill('500')
    await page.getByRole('textbox', { name: 'Most data a second' }).fill('20 MiB')
    await button('Earlier').click()
    await button('Save').click()
    await expect
      .poll(() => host.updates.at(-1)?.patch.drives)
      .toEqual([disk('disk1', { bus: 'nvme', cache: 'unsafe', limits: { iops: 500, bytesPerSecond: 20 * MiB } }), disk('disk0')])
  })
})

describe('one more disk', () => {
  const open = async (): Promise<void> => {
    await button('Add device').click()
    await page.getByRole('menuitem', { name: 'Disk', exact: true }).click()
  }
  const choose = async (what: RegExp): Promise<void> => {
    await select('What it is').click()
    await page.getByRole('option', { name: what }).click()
  }

  test('is made empty, of the size that is typed', async () => {
    await begin([])
    await open()
    await page.getByRole('textbox', { name: 'Size' }).fill('lots')
    await expect.element(page.getByText('Write a size, as in 20 GiB.')).toBeVisible()
    await page.getByRole('textbox', { name: 'Size' }).fill('8')
    await button('Make the disk').click()
    await expect
      .poll(() => host.disks.added)
      .toEqual([{ machine: machine.id, disks: [{ source: { kind: 'new', bytes: 8 * GiB }, use: { readOnly: false } }] }])
    await expect.element(device(/^Disk disk0.qcow2/)).toBeVisible()
  })

  test('is on the network, and waits to be saved with the rest', async () => {
    await begin([])
    await open()
    await choose(/on the network/)
    await page.getByRole('textbox', { name: 'Address' }).fill('nbds://server/disk')
    await expect.element(page.getByText('Coppice speaks NBD without TLS only.', { exact: false })).toBeVisible()
    await page.getByRole('textbox', { name: 'Address' }).fill('nbd://server/disk')
    await page.getByRole('checkbox', { name: 'Read-only' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Add', exact: true }).click()
    await expect.element(page.getByText('Unsaved changes')).toBeVisible()
    await button('Save').click()
    await expect
      .poll(() => host.updates.at(-1)?.patch.drives)
      .toEqual([disk('disk0', { path: 'nbd://server/disk', format: 'raw', readOnly: true })])
  })

  test('is not made while other changes to drives wait: they would be overtaken', async () => {
    await begin([disk('disk0'), disk('disk1')])
    await device(/Disk 2/).click()
    await button('Earlier').click()
    await open()
    await select('What it is').click()
    await expect.element(page.getByRole('option', { name: /A new, empty disk/ })).toHaveAttribute('aria-disabled', 'true')
  })
})

test('sizes as people write them', () => {
  expect(['20', '20 GiB', '512M', '1.5G'].map(typedSize)).toEqual([20 * GiB, 20 * GiB, 512 * MiB, 1.5 * GiB])
  expect(['', '20 apples', '1K', '9000T'].map((text) => typeof typedSize(text))).toEqual(Array(4).fill('string'))
})
