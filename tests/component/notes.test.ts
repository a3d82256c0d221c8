import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { page } from 'vitest/browser'
import NotesTab from '../../src-renderer/pages/machine/notes/NotesTab.svelte'
import type { WindowState } from '../../src-renderer/state/window-state.svelte.ts'
import type { MachineView } from '../../src-shared/api/machines.ts'
import { AppError } from '../../src-shared/errors/app-error.ts'
import { MAX_NOTES } from '../../src-shared/model/machine.ts'
import { FakeHost } from './support/fake-host.ts'
import { fakeMachine } from './support/fake-objects.ts'
import { connected, show as showPart } from './support/show.ts'

let host: FakeHost
let state: WindowState
let machine: MachineView

const show = (): ReturnType<typeof showPart<{ machine: MachineView }>> => showPart(state, NotesTab, { machine })
const field = () => page.getByRole('textbox', { name: 'Notes on web-1' })
const withNotes = (notes: string): MachineView => host.put({ ...machine, config: { ...machine.config!, notes } })

beforeEach(async () => {
  await page.viewport(1000, 600)
  host = new FakeHost()
  machine = host.put(fakeMachine('web-1', { state: 'running' }, { notes: 'root, no password' }))
  state = await connected(host)
})
afterEach(() => state.dispose())

describe('the notes tab', () => {
  test('saves by itself after a rest', async () => {
    await show()
    await expect.element(field()).toHaveValue('root, no password')
    await field().fill('root, no password\nnginx on port 80')
    await expect.element(page.getByText('Unsaved changes')).toBeVisible()
    await expect.poll(() => host.updates).toEqual([{ id: machine.id, patch: { notes: 'root, no password\nnginx on port 80' } }])
    await expect.element(page.getByText('Saved')).toBeVisible()
  })

  test('leaving saves at once', async () => {
    const view = await show()
    await field().fill('short visit')
    await view.close()
    await expect.poll(() => host.updates.at(-1)?.patch).toEqual({ notes: 'short visit' })
  })

  test('a change from elsewhere shows where nothing was typed', async () => {
    const view = await show()
    machine = withNotes('from the command line')
    await view.change({ machine })
    await expect.element(field()).toHaveValue('from the command line')
  })

  test('two writers: nothing is overwritten until the person decides', async () => {
    const view = await show()
    await field().fill('mine')
    machine = withNotes('theirs')
    await view.change({ machine })
    await expect.element(page.getByText('These notes were changed somewhere else')).toBeVisible()
    await expect.element(field()).toHaveValue('mine')
    await view.close()
    await show()
    expect(host.updates).toEqual([])
    await page.getByRole('button', { name: 'Keep mine' }).click()
    await expect.poll(() => host.updates).toEqual([{ id: machine.id, patch: { notes: 'mine' } }])
  })

  test('or takes the others', async () => {
    const view = await show()
    await field().fill('mine')
    machine = withNotes('theirs')
    await view.change({ machine })
    await page.getByRole('button', { name: 'Take the others' }).click()
    await expect.element(field()).toHaveValue('theirs')
    expect(host.updates).toEqual([])
  })

  test('a save that fails keeps the text and can be tried again', async () => {
    host.failures.set('machines.update', new AppError('no-space', 'Writing machine.json failed: the disk is full.').toWire())
    await show()
    await field().fill('precious')
    await expect.element(page.getByText('Writing machine.json failed: the disk is full.')).toBeVisible()
    await expect.element(page.getByText('Not saved')).toBeVisible()
    host.failures.clear()
    await page.getByRole('button', { name: 'Try again' }).click()
    await expect.poll(() => host.updates).toEqual([{ id: machine.id, patch: { notes: 'precious' } }])
    await expect.element(page.getByText('Writing machine.json failed', { exact: false })).not.toBeInTheDocument()
  })

  test('the limit is said when it is near, and more is not sent', async () => {
    await show()
    await field().fill('x'.repeat(MAX_NOTES - 10))
    await expect.element(page.getByText('10 characters left')).toBeVisible()
    await field().fill('x'.repeat(MAX_NOTES + 5))
    await expect.element(page.getByText('The notes are 5 characters too long. Shorten them to save them.')).toBeVisible()
    await expect.element(page.getByText('Not saved')).toBeVisible()
  })
})
