import { afterEach, describe, expect, test } from 'vitest'
import { page, userEvent } from 'vitest/browser'
import type { MachineView } from '../../src-shared/api/machines.ts'
import type { SnapshotTree, SnapshotView } from '../../src-shared/model/snapshot.ts'
import { fakeMachine, fakeTask } from './support/fake-objects.ts'
import { fakeSnapshot, fakeTree } from './support/fake-snapshots.ts'
import { openWindow, type OpenWindow } from './support/open-window.ts'

let window: OpenWindow
let machine: MachineView
afterEach(() => window.close())

async function open(tree: SnapshotTree, over: Partial<MachineView> = {}): Promise<void> {
  machine = fakeMachine('web-1', over)
  window = await openWindow({ machines: [machine] }, `#/machine/${machine.id}/snapshots`)
  window.host.snapshots.put(machine.id, tree)
  await expect.element(page.getByRole('tab', { name: 'Snapshots' })).toBeVisible()
}

const base = fakeSnapshot('Base', { bytes: 900 * 1024 * 1024, pinned: true })
const works = fakeSnapshot('Works', { parent: base.id, running: true })
const broken = fakeSnapshot('Broken', { parent: works.id, note: 'no network' })
const other = fakeSnapshot('Other way', { parent: works.id })
/** Base – Works – { Broken, Other way – here } */
const twoBranches = (over: Partial<SnapshotTree> = {}): SnapshotTree => fakeTree([base, works, broken, other], over)

/** A card by the beginning of its words. */
const item = (name: string | RegExp) => page.getByRole('treeitem', { name: typeof name === 'string' ? new RegExp(`^${name}`) : name })
const here = () => item('You are here')
const details = () => page.getByRole('complementary', { name: 'Details' })
const dialog = (name: string) => page.getByRole('dialog', { name })
const asked = (): unknown => window.host.snapshots.asked.at(-1)
const menu = async (on: string, entry: string | RegExp): Promise<void> => {
  await item(on).click({ button: 'right' })
  await page.getByRole('menuitem', { name: entry }).click()
}

describe('the tree', () => {
  test('shows snapshots with time, size and marks, and where the machine is', async () => {
    await open(twoBranches())
    await expect.element(page.getByRole('tree', { name: 'Snapshots of web-1' })).toBeVisible()
    await expect.element(item(/^Base Pinned 3 h ago 900 MiB Was off$/)).toHaveAttribute('aria-level', '1')
    await expect.element(item(/^Works 3 h ago 120 MiB Was running$/)).toHaveAttribute('aria-level', '2')
    await expect.element(item('Other way')).toHaveAttribute('aria-posinset', '2')
    await expect.element(here()).toHaveAttribute('aria-level', '4')
    await expect.element(here()).toHaveTextContent('34 MiB since “Other way”')
    await expect.element(page.getByText('4 snapshots, 1.3 GiB in all')).toBeVisible()
  })

  test('hears of changes, and the place of one that is gone goes to what it came from', async () => {
    await open(twoBranches())
    await item('Broken').click()
    window.host.snapshots.put(machine.id, fakeTree([base, works, other]))
    await expect.element(item('Broken')).not.toBeInTheDocument()
    await expect.element(item('Works')).toHaveAttribute('aria-selected', 'true')
  })

  test('is walked by the arrow keys', async () => {
    await open(twoBranches())
    await expect.element(here()).toHaveAttribute('aria-selected', 'true')
    await here().click()
    await expect.element(here()).toHaveFocus()
    await userEvent.keyboard('{ArrowUp}')
    await expect.element(item('Other way')).toHaveFocus()
    await userEvent.keyboard('{ArrowLeft}')
    await expect.element(item('Broken')).toHaveFocus()
    await expect.element(item('Broken')).toHaveAttribute('aria-selected', 'true')
    await userEvent.keyboard('{Home}')
    await expect.element(item('Base')).toHaveFocus()
    await userEvent.keyboard('{ArrowDown}{ArrowDown}{ArrowDown}')
    await expect.element(here()).toHaveFocus()
    expect(document.querySelectorAll('[role=treeitem][tabindex="0"]')).toHaveLength(1)
  })

  test('a long one opens at the present state', async () => {
    const line: SnapshotView[] = []
    for (let at = 0; at < 60; at++) line.push(fakeSnapshot(`Nightly ${at}`, { parent: line.at(-1)?.id ?? null }))
    await open(fakeTree(line))
    await expect.element(here()).toBeInViewport()
    await expect.element(item('Nightly 0')).not.toBeInViewport()
    await here().click()
    await userEvent.keyboard('{Home}')
    await expect.element(item('Nightly 0')).toBeInViewport()
    await page.getByRole('button', { name: 'Show where you are' }).click()
    await expect.element(here()).toBeInViewport()
  })

  test('pictures are read when they come into sight, and let go of', async () => {
    const line: SnapshotView[] = []
    for (let at = 0; at < 40; at++) line.push(fakeSnapshot(`Nightly ${at}`, { parent: line.at(-1)?.id ?? null, picture: true }))
    await open(fakeTree(line))
    await expect.poll(() => document.querySelectorAll('[role=treeitem] img').length).toBeGreaterThan(0)
    expect(window.host.snapshots.pictures).toBeLessThan(20)
    const { src } = document.querySelector<HTMLImageElement>('[role=treeitem] img')!
    await page.getByRole('tab', { name: 'Notes' }).click()
    await expect.element(page.getByRole('tree', { name: 'Snapshots of web-1' })).not.toBeInTheDocument()
    await expect(fetch(src)).rejects.toThrow()
  })

  test('says why it cannot be read, and tries again', async () => {
    machine = fakeMachine('web-1')
    window = await openWindow({ machines: [machine] }, `#/machine/${machine.id}/notes`)
    window.host.failures.set('snapshots.tree', { code: 'corrupt', message: 'A snapshot cannot be read.' })
    await page.getByRole('tab', { name: 'Snapshots' }).click()
    await expect.element(page.getByText('A snapshot cannot be read.')).toBeVisible()
    window.host.failures.clear()
    await page.getByRole('button', { name: 'Try again' }).click()
    await expect.element(page.getByText('No snapshots yet')).toBeVisible()
  })
})

describe('taking one', () => {
  test('the first, from the words that say what it is', async () => {
    await open(fakeTree())
    await page.getByRole('button', { name: 'Take snapshot…' }).click()
    const form = dialog('Take a snapshot of “web-1”')
    await expect.element(form.getByRole('textbox', { name: 'Name' })).toHaveValue('Snapshot 1')
    await expect.element(form.getByRole('checkbox')).not.toBeInTheDocument()
    // The name is selected: typing replaces it.
    await userEvent.keyboard('Fresh')
    await form.getByRole('textbox', { name: 'Note' }).fill('as installed')
    await form.getByRole('button', { name: 'Take snapshot' }).click()
    await expect.element(item('Fresh')).toBeVisible()
    expect(asked()).toEqual({ machine: machine.id, label: 'Fresh', note: 'as installed', memory: false })
  })

  test('by its keys, of a machine that runs: what runs is kept, or not', async () => {
    await open(twoBranches(), { state: 'running' })
    await expect.element(here()).toBeVisible()
    await userEvent.keyboard('{Control>}{Shift>}s{/Shift}{/Control}')
    const form = dialog('Take a snapshot of “web-1”')
    const memory = form.getByRole('checkbox', { name: 'Keep what is running' })
    await expect.element(memory).toBeChecked()
    await expect.element(form).toHaveTextContent('stands still for a moment')
    await memory.click()
    await expect.element(form).toHaveTextContent('like starting after a power cut')
    await memory.click()
    await form.getByRole('textbox', { name: 'Name' }).click()
    await userEvent.keyboard('{Enter}')
    await expect.element(item('Snapshot 5')).toBeVisible()
    expect(asked()).toMatchObject({ label: 'Snapshot 5', memory: true })
  })

  test('says before what is not in it', async () => {
    await open(twoBranches({ leftOut: ['Shared folders (“docs”) are not in it.'] }), { state: 'running' })
    await page.getByRole('button', { name: 'Take snapshot…' }).first().click()
    await expect
      .element(page.getByRole('list', { name: 'What is not in the snapshot' }))
      .toHaveTextContent('Shared folders (“docs”) are not in it.')
  })

  test('an empty name is no name', async () => {
    await open(twoBranches())
    await page.getByRole('button', { name: 'Take snapshot…' }).first().click()
    await page.getByRole('textbox', { name: 'Name' }).fill('')
    await expect.element(page.getByText('Give the snapshot a name.')).toBeVisible()
    await expect.element(page.getByRole('button', { name: 'Take snapshot', exact: true })).toBeDisabled()
  })

  test('is not possible where something is in the way, which is said', async () => {
    await open(twoBranches({ obstacles: ['The disk “data” lies outside of the machine’s folder.'] }))
    await expect.element(page.getByText('The disk “data” lies outside of the machine’s folder.')).toBeVisible()
    await expect.element(page.getByRole('button', { name: 'Take snapshot…' }).first()).toBeDisabled()
    await userEvent.keyboard('{Control>}{Shift>}s{/Shift}{/Control}')
    const form = dialog('Take a snapshot of “web-1”')
    await expect.element(form.getByRole('alert')).toHaveTextContent('The disk “data” lies outside')
    await expect.element(form.getByRole('button', { name: 'Take snapshot' })).toBeDisabled()
  })

  test('shows how far it is at the present state, and is cancelled there', async () => {
    await open(twoBranches(), { state: 'running' })
    window.host.autoFinishTasks = false
    await page.getByRole('button', { name: 'Take snapshot…' }).first().click()
    await page.getByRole('button', { name: 'Take snapshot', exact: true }).click()
    await expect.element(here().getByRole('progressbar')).toBeVisible()
    const task = [...window.host.tasks.values()].at(-1)!
    window.host.putTask({ ...task, progress: { done: 1, total: 4, unit: 'steps' } })
    await expect.element(here().getByRole('progressbar', { name: 'Taking “Snapshot 5”' })).toHaveAttribute('aria-valuenow', '25')
    await expect.element(page.getByRole('button', { name: 'Take snapshot…' }).first()).toBeDisabled()
    await here().getByRole('button', { name: 'Cancel' }).click()
    await expect.element(here().getByRole('progressbar')).not.toBeInTheDocument()
    expect(window.host.calls).toContain('tasks.cancel')
  })

  test('that fails says so at the machine', async () => {
    await open(twoBranches())
    window.host.autoFinishTasks = false
    await page.getByRole('button', { name: 'Take snapshot…' }).first().click()
    await page.getByRole('button', { name: 'Take snapshot', exact: true }).click()
    await expect.element(here().getByRole('progressbar')).toBeVisible()
    const task = [...window.host.tasks.values()].at(-1)!
    window.host.putTask({ ...task, state: 'failed', error: { code: 'no-space', message: 'The disk is full: nothing was changed.' } })
    await expect.element(page.getByRole('alert')).toHaveTextContent('The disk is full: nothing was changed.')
  })
})

describe('going back', () => {
  test('keeps where the machine is first, unless told not to', async () => {
    await open(twoBranches(), { state: 'running' })
    await menu('Broken', 'Restore…')
    const form = dialog('Restore “Broken”?')
    await expect.element(form).toHaveTextContent('What “web-1” is now is lost, unless you keep it.')
    await expect.element(form).toHaveTextContent('“web-1” is off afterwards')
    await expect.element(form.getByRole('checkbox', { name: 'Keep where I am first' })).toBeChecked()
    await form.getByRole('textbox', { name: 'Its name' }).fill('Other way, further')
    await form.getByRole('button', { name: 'Keep and restore' }).click()
    await expect.element(here()).toHaveTextContent('since “Broken”')
    await expect.element(item('Other way, further')).toBeVisible()
    expect(asked()).toEqual({ machine: machine.id, snapshot: broken.id, keep: 'Other way, further' })
  })

  test('by keys alone, without keeping', async () => {
    await open(twoBranches(), { state: 'running' })
    await here().click()
    await userEvent.keyboard('{ArrowUp}{ArrowUp}{Control>}{Enter}{/Control}')
    const form = dialog('Restore “Works”?')
    await expect.element(form).toHaveTextContent('“web-1” runs again afterwards')
    // The box has the focus.
    await userEvent.keyboard(' ')
    await expect.element(form).toHaveTextContent('What “web-1” is now is lost. ')
    await expect.element(form).toHaveTextContent('its programs end without saving')
    await userEvent.keyboard('{Enter}')
    await expect.element(here()).toHaveTextContent('since “Works”')
    expect(asked()).toEqual({ machine: machine.id, snapshot: works.id, keep: null })
    await expect.element(item('Works')).toHaveFocus()
  })

  test('says where nothing can be kept', async () => {
    await open(twoBranches({ obstacles: ['The disk “data” lies outside.'] }))
    await item('Works').click()
    await details().getByRole('button', { name: 'Restore…' }).click()
    const form = dialog('Restore “Works”?')
    await expect.element(form.getByRole('checkbox')).toBeDisabled()
    await expect.element(form).toHaveTextContent('It cannot be kept: The disk “data” lies outside.')
    await form.getByRole('button', { name: 'Restore' }).click()
    await expect.poll(asked).toMatchObject({ keep: null })
  })

  test('shows how far it is at the snapshot; nothing else can be changed meanwhile', async () => {
    await open(twoBranches())
    await item('Works').click()
    window.host.putTask(
      fakeTask({ kind: 'restore-snapshot', title: 'Restoring “Works”', machine: machine.id, snapshot: works.id, cancellable: false }),
    )
    await expect.element(item('Works').getByRole('progressbar')).toBeVisible()
    await expect.element(item('Works').getByRole('button')).not.toBeInTheDocument()
    await expect.element(details().getByRole('button', { name: 'Restore…' })).toBeDisabled()
    await userEvent.keyboard('{Delete}')
    await expect.element(page.getByRole('dialog')).not.toBeInTheDocument()
  })
})

describe('one snapshot', () => {
  test('is renamed by its key, and the machine is not', async () => {
    await open(twoBranches())
    await item('Broken').click()
    await userEvent.keyboard('{F2}')
    const form = dialog('Rename snapshot')
    await form.getByRole('textbox', { name: 'Name' }).fill('Broken by the update')
    await userEvent.keyboard('{Enter}')
    await expect.element(item('Broken by the update')).toHaveFocus()
    expect(asked()).toEqual({ label: 'Broken by the update' })
  })

  test('is pinned and unpinned', async () => {
    await open(twoBranches())
    await menu('Broken', 'Pin')
    await expect.element(item('Broken Pinned')).toBeVisible()
    await item('Base').click()
    await details().getByRole('button', { name: 'Unpin' }).click()
    await expect.element(item('Base Pinned')).not.toBeInTheDocument()
  })

  test('has its details at the side, where its note is written', async () => {
    await open(twoBranches())
    await item('Broken').click()
    await userEvent.keyboard('{Enter}')
    const note = details().getByRole('textbox', { name: 'Note' })
    await expect.element(note).toHaveFocus()
    await expect.element(note).toHaveValue('no network')
    await expect.element(details()).toHaveTextContent('120 MiB of its own')
    await userEvent.keyboard('{End}, and no sound{Escape}')
    await expect.element(item('Broken')).toHaveFocus()
    await expect.poll(asked).toEqual({ note: 'no network, and no sound' })
    await details().getByRole('button', { name: 'Works' }).click()
    await expect.element(item('Works')).toHaveAttribute('aria-selected', 'true')
  })

  test('keeps a note that could not be saved', async () => {
    await open(twoBranches())
    await menu('Broken', 'Edit note')
    const note = details().getByRole('textbox', { name: 'Note' })
    await expect.element(note).toHaveFocus()
    window.host.failures.set('snapshots.update', { code: 'no-space', message: 'The disk is full.' })
    await note.fill('precious')
    await userEvent.keyboard('{Escape}')
    await expect.element(details().getByRole('alert')).toHaveTextContent('The disk is full.')
    window.host.failures.clear()
    await details().getByRole('button', { name: 'Try again' }).click()
    await expect.poll(asked).toEqual({ note: 'precious' })
    await expect.element(note).toHaveValue('precious')
  })

  test('begins another machine', async () => {
    await open(twoBranches())
    await menu('Works', 'Clone…')
    const form = dialog('Clone “Works”')
    await expect.element(form.getByRole('textbox', { name: 'Name of the clone' })).toHaveValue('web-1 2')
    await form.getByRole('button', { name: 'Clone' }).click()
    await expect.element(form).not.toBeInTheDocument()
    expect(asked()).toEqual({ machine: machine.id, snapshot: works.id, name: 'web-1 2' })
  })

  test('is deleted by its key, with what becomes of the others said', async () => {
    await open(twoBranches())
    await item('Works').click()
    await userEvent.keyboard('{Delete}')
    const form = dialog('Delete “Works”?')
    await expect.element(form).toHaveTextContent('what later states need is merged into them')
    await expect.element(form).toHaveTextContent('Frees up to 120 MiB.')
    await expect.element(form.getByRole('button', { name: 'Cancel' })).toHaveFocus()
    await form.getByRole('button', { name: 'Delete' }).click()
    await expect.element(item('Works')).not.toBeInTheDocument()
    await expect.element(item('Broken')).toHaveAttribute('aria-level', '2')
    await expect.element(item('Base')).toHaveFocus()
    expect(asked()).toEqual({ machine: machine.id, snapshot: works.id, subtree: false })
  })

  test('is deleted with everything after it, the pinned ones named', async () => {
    const last = fakeSnapshot('Last try', { parent: broken.id, pinned: true })
    await open(fakeTree([base, works, broken, other, last], { current: other.id }))
    await menu('Broken', 'Delete with everything after it…')
    const form = dialog('Delete “Broken” and everything after it?')
    await expect.element(form).toHaveTextContent('2 snapshots go, and you cannot go back to them any more; one of them is pinned.')
    await expect.element(form.getByRole('listitem').filter({ hasText: 'Last try' })).toHaveTextContent('Pinned')
    await form.getByRole('button', { name: 'Delete 2 snapshots' }).click()
    await expect.element(item('Broken')).not.toBeInTheDocument()
    await expect.element(item('Last try')).not.toBeInTheDocument()
    expect(asked()).toMatchObject({ subtree: true })
  })

  test('stays, with everything after it, where the machine came from it', async () => {
    await open(twoBranches())
    await item('Works').click({ button: 'right' })
    const entry = page.getByRole('menuitem', { name: /Delete with everything after it/ })
    await expect.element(entry).toHaveAttribute('aria-disabled', 'true')
    await expect.element(entry).toHaveTextContent('What “web-1” is now came from it.')
    await userEvent.keyboard('{Escape}')
    await item('Broken').click({ button: 'right' })
    await expect.element(page.getByRole('menuitem', { name: 'Delete…' })).toBeVisible()
    await expect.element(page.getByRole('menuitem', { name: /everything/ })).not.toBeInTheDocument()
  })
})

test('the details can be away, and stay away', async () => {
  await open(twoBranches())
  await page.getByRole('button', { name: 'Close details' }).click()
  await expect.element(details()).not.toBeInTheDocument()
  await page.getByRole('tab', { name: 'Notes' }).click()
  await page.getByRole('tab', { name: 'Snapshots' }).click()
  await expect.element(here()).toBeVisible()
  await expect.element(details()).not.toBeInTheDocument()
  await item('Works').dblClick()
  await expect.element(details()).toBeVisible()
})

test('there is room for long names, and the page does not grow', async () => {
  const long = fakeSnapshot('n'.repeat(100))
  await open(fakeTree([long]))
  const card = item(/^n+/)
  await expect.element(card).toBeVisible()
  expect(card.element().getBoundingClientRect().width).toBe(264)
  expect(document.documentElement.scrollWidth).toBe(innerWidth)
})
