import { afterEach, expect, test } from 'vitest'
import { page } from 'vitest/browser'
import type { MachineView } from '../../src-shared/api/machines.ts'
import { newId } from '../../src-shared/base/ids.ts'
import type { MachineConfig } from '../../src-shared/model/machine.ts'
import { fakeMachine } from './support/fake-objects.ts'
import { fakeSnapshot, fakeTree } from './support/fake-snapshots.ts'
import { openWindow, type OpenWindow } from './support/open-window.ts'

let window: OpenWindow
afterEach(() => window.close())

async function open(over: Partial<MachineView>, config: Partial<MachineConfig> = {}, tab = 'snapshots'): Promise<MachineView> {
  const machine = fakeMachine('web-1', over, config)
  window = await openWindow({ machines: [machine] }, `#/machine/${machine.id}/${tab}`)
  window.host.snapshots.put(machine.id, fakeTree([fakeSnapshot('Base'), fakeSnapshot('Nightly', { by: 'schedule' })]))
  await expect.element(page.getByRole('tab', { name: 'Snapshots' })).toBeVisible()
  return machine
}
const run = (end: 'discard' | 'decide'): Partial<MachineConfig> => ({ run: { end, snapshot: newId(), own: true, over: false } })
const trial = () => page.getByLabelText('Trial')
const asked = (): unknown => window.host.snapshots.asked.at(-1)

test('a trial is started from the menu beside “Start”', async () => {
  await open({}, {}, 'notes')
  await expect.element(trial()).not.toBeInTheDocument()
  await page.getByRole('button', { name: 'More ways to start' }).click()
  await page.getByRole('menuitem', { name: 'Start, decide afterwards' }).click()
  await expect.poll(() => window.host.started).toMatchObject([{ end: 'decide' }])
})

test('while it runs it is said, and can be kept', async () => {
  const { id } = await open({ state: 'running' }, run('discard'), 'notes')
  await expect.element(trial()).toHaveTextContent('is discarded when the machine is off')
  await expect.element(trial().getByRole('button', { name: 'Discard…' })).not.toBeInTheDocument()
  await trial().getByRole('button', { name: 'Keep' }).click()
  await expect.poll(asked).toMatchObject({ machine: id, decision: 'keep' })
})

test('at its end it is asked, in the library too; discarding asks again', async () => {
  await open({ state: 'off' }, run('decide'))
  await expect.element(trial()).toHaveTextContent('“web-1” is off. What becomes of what it did')
  await expect.element(page.getByRole('tree', { name: 'Machines' }).getByRole('treeitem', { name: /web-1/ })).toHaveTextContent('Undecided')
  await trial().getByRole('button', { name: 'Discard…' }).click()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Cancel' }).click()
  expect(asked()).toBeUndefined()
  await trial().getByRole('button', { name: 'Discard…' }).click()
  await page.getByRole('alertdialog').getByRole('button', { name: 'Discard' }).click()
  await expect.poll(asked).toMatchObject({ decision: 'discard' })
})

test('a branch gets a name', async () => {
  await open({ state: 'crashed' }, run('decide'))
  await trial().getByRole('button', { name: 'Keep as a branch…' }).click()
  const form = page.getByRole('dialog', { name: 'Keep the run of “web-1” as a branch' })
  await expect.element(form.getByRole('textbox')).toHaveValue('Snapshot 3')
  await form.getByRole('textbox').fill('With the update')
  await form.getByRole('button', { name: 'Keep as a branch' }).click()
  await expect.poll(asked).toMatchObject({ decision: 'branch', label: 'With the update' })
})

test('snapshots by themselves: set in one dialog, and marked in the tree', async () => {
  await open({})
  await expect.element(page.getByRole('treeitem', { name: /^Nightly Automatic/ })).toBeVisible()
  await page.getByRole('button', { name: 'Automatic: off' }).click()
  const form = page.getByRole('dialog', { name: 'Automatic snapshots of “web-1”' })
  await expect.element(form.getByRole('combobox', { name: 'While it runs' })).toHaveFocus()
  await form.getByRole('combobox', { name: 'While it runs' }).click()
  await page.getByRole('option', { name: 'Every hour' }).click()
  await form.getByRole('checkbox', { name: 'Before each start' }).click()
  await form.getByRole('textbox', { name: 'Room for them' }).fill('plenty')
  await expect.element(form.getByText('“plenty” is not a size.')).toBeVisible()
  await expect.element(form.getByRole('button', { name: 'Save' })).toBeDisabled()
  await form.getByRole('textbox', { name: 'Room for them' }).fill('20G')
  await form.getByRole('button', { name: 'Save' }).click()
  await expect.element(page.getByRole('button', { name: 'Automatic: every hour, before starts' })).toBeVisible()
  expect(window.host.updates.at(-1)!.patch).toEqual({
    autoSnapshots: { everyMinutes: 60, beforeStart: true, memory: true, budgetBytes: 20 * 1024 ** 3 },
    whenOff: { end: 'keep', snapshot: null },
  })
})

test('what goes wrong with a machine that runs is said on other pages, too, and once', async () => {
  const machine = await open({ state: 'running' }, {}, 'notes')
  const lastError = { code: 'no-space' as const, message: 'No automatic snapshot of “web-1” could be taken: the disk is full.' }
  window.host.put({ ...machine, lastError })
  await expect.element(page.getByRole('article').getByText(lastError.message)).toBeVisible()
  expect(page.getByRole('status').getByText(lastError.message).elements()).toHaveLength(0)
  await page.getByRole('button', { name: 'Activity' }).click()
  window.host.put({ ...machine, lastError: { ...lastError, message: 'It failed again.' } })
  await expect.element(page.getByText('It failed again.')).toBeVisible()
  window.host.put({ ...machine, lastError: null })
  window.host.put({ ...machine, lastError: { ...lastError, message: 'It failed again.' } })
  await expect.poll(() => page.getByText('It failed again.').elements()).toHaveLength(1)
})
