import { afterEach, expect, test } from 'vitest'
import { page } from 'vitest/browser'
import type { MachineView } from '../../src-shared/api/machines.ts'
import { fakeMachine } from './support/fake-objects.ts'
import { openWindow, type OpenWindow } from './support/open-window.ts'

let window: OpenWindow
afterEach(() => window.close())

async function open(template: boolean, tab = 'notes'): Promise<MachineView> {
  const machine = fakeMachine('golden', {}, { template })
  window = await openWindow({ machines: [machine] }, `#/machine/${machine.id}/${tab}`)
  await expect.element(page.getByRole('heading', { level: 1, name: 'golden' })).toBeVisible()
  return machine
}
const power = () => page.getByRole('toolbar', { name: 'Power and more' })
const more = async (entry: string): Promise<void> => {
  await power().getByRole('button', { name: 'More', exact: true }).click()
  await page.getByRole('menuitem', { name: entry }).click()
}
const row = () => page.getByRole('tree', { name: 'Machines' }).getByRole('treeitem')

test('a machine becomes a template and an ordinary one again, from its menu', async () => {
  const { id } = await open(false)
  await more('Make it a template')
  await expect.element(row()).toHaveTextContent('Template')
  expect(window.host.machines.get(id)!.config!.template).toBe(true)
  await expect.element(power().getByRole('button', { name: 'Start', exact: true })).not.toBeInTheDocument()
  await more('Make it an ordinary machine')
  await expect.element(row()).toHaveTextContent('Off')
  await expect.element(power().getByRole('button', { name: 'Start', exact: true })).toBeVisible()
})

test('machines are made from a template, linked or full', async () => {
  const { id } = await open(true)
  await power().getByRole('button', { name: 'New machine…' }).click()
  const dialog = page.getByRole('dialog', { name: 'New machine from “golden”' })
  await dialog.getByRole('textbox', { name: 'Name of the machine' }).fill('web-1')
  await dialog.getByRole('button', { name: 'Create' }).click()
  await expect.poll(() => window.host.snapshots.asked.at(-1)).toEqual({ machine: id, snapshot: null, name: 'web-1' })
  await expect.element(dialog).not.toBeInTheDocument()
  await power().getByRole('button', { name: 'New machine…' }).click()
  await dialog.getByRole('combobox', { name: 'Disks' }).click()
  await page.getByRole('option', { name: /^Full/ }).click()
  await dialog.getByRole('textbox', { name: 'Name of the machine' }).fill('web-2')
  await dialog.getByRole('button', { name: 'Create' }).click()
  await expect.poll(() => window.host.calls).toContain('machines.duplicate')
})

test('its hardware cannot be changed, which is said', async () => {
  await open(true, 'hardware')
  await expect.element(page.getByText(/The machine is a template: its hardware stays as it is/)).toBeVisible()
})

test('who needs the files of a machine is said before it is moved to the trash', async () => {
  const { id } = await open(false)
  window.host.dependents.set(id, [{ machine: { id: 'x', name: 'web-1' }, file: 'disks/disk0.qcow2', how: 'below', snapshot: null }])
  await more('Move to trash')
  const question = page.getByRole('alertdialog', { name: 'Move “golden” to the trash, although others need it?' })
  await expect.element(question).toHaveTextContent('“web-1” has a disk that rests on “disks/disk0.qcow2”')
  await question.getByRole('button', { name: 'Cancel' }).click()
  expect(window.host.calls).not.toContain('machines.trash')
  await more('Move to trash')
  await question.getByRole('button', { name: 'Move to trash' }).click()
  await expect.poll(() => window.host.calls).toContain('machines.trash')
})
