import { afterEach, describe, expect, test } from 'vitest'
import { page, userEvent } from 'vitest/browser'
import type { MachineView } from '../../src-shared/api/machines.ts'
import type { Drive } from '../../src-shared/model/machine.ts'
import { fakeMachine } from './support/fake-objects.ts'
import { fakeSnapshot, fakeTree } from './support/fake-snapshots.ts'
import { openWindow, type OpenWindow } from './support/open-window.ts'

let window: OpenWindow
let machine: MachineView
afterEach(() => window.close())

const base = fakeSnapshot('Base')
const works = fakeSnapshot('Works', { parent: base.id })
const broken = fakeSnapshot('Broken', { parent: works.id })

async function open(over: Partial<MachineView> = {}): Promise<void> {
  const disk = (id: string): Drive => ({ id, kind: 'disk', path: `disks/${id}.qcow2`, format: 'qcow2', readOnly: false, limits: null })
  machine = fakeMachine('web-1', over, { drives: [disk('disk0'), disk('disk1')] })
  window = await openWindow({ machines: [machine] }, `#/machine/${machine.id}/snapshots`)
  window.host.snapshots.put(machine.id, fakeTree([base, works, broken]))
  await expect.element(item('Base')).toBeVisible()
}

const item = (name: string) => page.getByRole('treeitem', { name: new RegExp(`^${name}`) })
const dialog = () => page.getByRole('dialog', { name: 'Compare states of “web-1”' })
const asked = (): unknown => window.host.snapshots.asked.at(-1)

describe('comparing', () => {
  test('a snapshot with the present state, and with another one, from its menu', async () => {
    await open()
    await item('Base').click({ button: 'right' })
    await page.getByRole('menuitem', { name: 'Compare with…' }).click()
    await expect.element(dialog().getByRole('region', { name: 'Disk 1' })).toBeVisible()
    expect(asked()).toEqual({ machine: machine.id, before: base.id, after: null })
    await expect.element(dialog().getByText(/changed, in [\d,.\s]+ blocks of 4 KiB; the disk has 960 MiB/)).toBeVisible()
    await expect.element(dialog().getByRole('img', { name: /^Disk 1, where it differs/ })).toBeVisible()
    await expect.element(dialog().getByText('Not there before.')).toBeVisible()
    const files = dialog().getByRole('region', { name: 'Partition 1, “root”' })
    await expect.element(files.getByText('Files: 1 added, 1 changed, 700 removed.')).toBeVisible()
    await expect.element(files.getByRole('listitem').first()).toHaveTextContent('Added /etc/new.conf 2 KiB')
    await expect.element(files.getByText('and 200 more')).toBeInTheDocument()
    await dialog().getByRole('combobox', { name: 'After' }).click()
    await page.getByRole('option', { name: /^Works/ }).click()
    await expect.poll(asked).toEqual({ machine: machine.id, before: base.id, after: works.id })
    await dialog().getByRole('button', { name: 'Swap' }).click()
    await expect.poll(asked).toEqual({ machine: machine.id, before: works.id, after: base.id })
    await dialog().getByRole('combobox', { name: 'Before' }).click()
    await page.getByRole('option', { name: /^Base/ }).click()
    await expect.element(dialog().getByText('Choose two different states.')).toBeVisible()
  })

  test('two that are chosen in the tree, the earlier one first', async () => {
    await open()
    await item('Broken').click()
    await item('Base').click({ modifiers: ['ControlOrMeta'] })
    await expect.element(dialog()).toBeVisible()
    await expect.poll(asked).toEqual({ machine: machine.id, before: base.id, after: broken.id })
    await expect.element(item('Broken')).toHaveAttribute('aria-selected', 'true')
  })

  test('of a machine that runs: not with the present state', async () => {
    await open({ state: 'running' })
    await item('Base').click({ button: 'right' })
    await page.getByRole('menuitem', { name: 'Compare with…' }).click()
    await expect.poll(asked).toEqual({ machine: machine.id, before: base.id, after: broken.id })
    await dialog().getByRole('combobox', { name: 'After' }).click()
    await expect.element(page.getByRole('option', { name: /^Present state/ })).toHaveAttribute('aria-disabled', 'true')
    await userEvent.keyboard('{Escape}')
  })

  test('shows how far it is; closing it ends it, and what fails is said', async () => {
    await open()
    window.host.autoFinishTasks = false
    await item('Works').click({ button: 'right' })
    await page.getByRole('menuitem', { name: 'Compare with…' }).click()
    await expect.element(dialog().getByRole('progressbar')).toBeVisible()
    await dialog().getByRole('button', { name: 'Cancel' }).click()
    await expect.element(dialog().getByText('Cancelled.')).toBeVisible()
    await dialog().getByRole('button', { name: 'Compare again' }).click()
    await expect.element(dialog().getByRole('progressbar')).toBeVisible()
    await dialog().getByRole('button', { name: 'Close' }).last().click()
    await expect.poll(() => [...window.host.tasks.values()].map(({ state }) => state)).toEqual(['cancelled', 'cancelled'])
  })
})
