import { afterEach, describe, expect, test } from 'vitest'
import { page, userEvent } from 'vitest/browser'
import type { MachineView } from '../../src-shared/api/machines.ts'
import { fakeMachine } from './support/fake-objects.ts'
import { openWindow, type OpenWindow } from './support/open-window.ts'
import { setVisibility } from './support/visibility.ts'

let window: OpenWindow
afterEach(async () => {
  setVisibility('visible')
  await window.close()
})

const tree = () => page.getByRole('tree', { name: 'Machines' })
const row = (name: string) => tree().getByRole('treeitem').filter({ hasText: name })
const focusTree = (): void => (tree().element() as HTMLElement).focus()
/** A machine's console takes the focus when it opens: wait for it, then go back to the list. */
async function backToTree(): Promise<void> {
  await expect.poll(() => document.activeElement?.tagName).toBe('TEXTAREA')
  focusTree()
}
/** One machine, its notes on the page: nothing there takes the focus. */
async function openOne(machine: MachineView): Promise<void> {
  window = await openWindow({ machines: [machine] }, `#/machine/${machine.id}/notes`)
  await expect.element(heading(machine.name)).toBeVisible()
  focusTree()
}
const heading = (name: string) => page.getByRole('heading', { level: 1, name, exact: true })

describe('the library', () => {
  test('shows every state in words and follows the host’s events without asking again', async () => {
    const web = fakeMachine('web', { state: 'running' })
    window = await openWindow({ machines: [web, fakeMachine('db', { state: 'suspended' })] })
    await expect.element(row('web')).toHaveTextContent('Running')
    await expect.element(row('db')).toHaveTextContent('Suspended')
    window.host.put({ ...web, state: 'paused' })
    await expect.element(row('web')).toHaveTextContent('Paused')
    window.host.put(fakeMachine('new one'))
    await expect.element(row('new one')).toHaveTextContent('Off')
    expect(window.host.calls.filter((call) => call === 'machines.list')).toHaveLength(1)
  })

  test('shows what a running machine uses', async () => {
    const web = fakeMachine('web', { state: 'running', id: '00000000-0000-4000-8000-00000000000a' })
    window = await openWindow({ machines: [web] })
    await expect.element(row('web')).toBeVisible()
    await expect.poll(() => window.host.sampled.listenerCount).toBe(1)
    window.host.sampled.fire(window.host.figures(Date.now()))
    await expect.element(row('web')).toHaveTextContent('25 %')
    setVisibility('hidden')
    await expect.poll(() => window.host.sampled.listenerCount).toBe(0)
    await expect.element(row('web')).toHaveTextContent('25 %')
    setVisibility('visible')
    await expect.poll(() => window.host.sampled.listenerCount).toBe(1)
    window.host.put({ ...web, state: 'off' })
    await expect.element(row('web')).toHaveTextContent('Off')
    // Nothing runs: nobody listens, and the host need not sample.
    await expect.poll(() => window.host.sampled.listenerCount).toBe(0)
  })

  test('filters as one types, and opens the first match with Enter', async () => {
    window = await openWindow({
      machines: [fakeMachine('alpha'), fakeMachine('beta', {}, { tags: ['nginx'] }), fakeMachine('gamma', {}, { folder: ['Lab'] })],
    })
    const field = page.getByRole('searchbox', { name: 'Find a machine' })
    await field.fill('nginx')
    await expect.element(row('beta')).toBeVisible()
    await expect.element(row('alpha')).not.toBeInTheDocument()
    await userEvent.keyboard('{Enter}')
    await expect.element(heading('beta')).toBeVisible()
    await field.fill('no such thing')
    await expect.element(page.getByText('No machine matches “no such thing”')).toBeVisible()
    await field.click()
    await userEvent.keyboard('{Escape}')
    await expect.element(row('alpha')).toBeVisible()
  })

  test('is walked with the keyboard: arrows, Home, End, folders, Enter', async () => {
    window = await openWindow({ machines: [fakeMachine('b'), fakeMachine('c'), fakeMachine('in lab', {}, { folder: ['Lab'] })] })
    await expect.element(heading('in lab')).toBeVisible()
    await backToTree()
    await userEvent.keyboard('{End}{Enter}')
    await expect.element(heading('c')).toBeVisible()
    await backToTree()
    await userEvent.keyboard('{ArrowUp}{Enter}')
    await expect.element(heading('b')).toBeVisible()
    await backToTree()
    await userEvent.keyboard('{Home}{ArrowLeft}')
    await expect.element(row('in lab')).not.toBeInTheDocument()
    await userEvent.keyboard('{ArrowRight}{ArrowRight}{Enter}')
    await expect.element(heading('in lab')).toBeVisible()
    await backToTree()
    // A closed folder stays closed for the next window.
    await userEvent.keyboard('{Home}{ArrowLeft}')
    expect(localStorage.getItem('coppice.closed-folders')).toBe('["Lab"]')
  })

  test('draws only what is in sight of a thousand machines', async () => {
    window = await openWindow({ machines: Array.from({ length: 1000 }, (_, at) => fakeMachine(`machine-${at + 1}`)) })
    await expect.element(row('machine-1').first()).toBeVisible()
    expect(document.querySelectorAll('[role="treeitem"]').length).toBeLessThan(60)
    await backToTree()
    await userEvent.keyboard('{End}{Enter}')
    await expect.element(heading('machine-1000')).toBeVisible()
    await expect.element(row('machine-1000')).toBeVisible()
    expect(document.querySelectorAll('[role="treeitem"]').length).toBeLessThan(60)
  })

  test('moves a machine to the trash with Delete, and brings it back with Undo', async () => {
    window = await openWindow({ machines: [fakeMachine('keep'), fakeMachine('throw away')] })
    await row('throw away').click()
    await backToTree()
    await userEvent.keyboard('{Delete}')
    await expect.element(row('throw away')).not.toBeInTheDocument()
    await expect.element(heading('keep')).toBeVisible()
    await page.getByRole('button', { name: 'Undo' }).click()
    await expect.element(row('throw away')).toBeVisible()
    await expect.element(heading('throw away')).toBeVisible()
  })

  test('does not trash a machine that runs', async () => {
    await openOne(fakeMachine('busy', { state: 'running' }))
    await userEvent.keyboard('{Delete}')
    expect(window.host.calls).not.toContain('machines.trash')
  })

  test('renames with F2 and says what is wrong with a name while it is typed', async () => {
    await openOne(fakeMachine('old name'))
    await userEvent.keyboard('{F2}')
    const field = page.getByRole('textbox', { name: 'Name', exact: true })
    await field.fill('a/b')
    await expect.element(page.getByText('The name contains “/”')).toBeVisible()
    await expect.element(page.getByRole('button', { name: 'Rename' })).toBeDisabled()
    await field.fill('new name')
    await userEvent.keyboard('{Enter}')
    await expect.element(row('new name')).toBeVisible()
    await expect.element(page.getByRole('dialog')).not.toBeInTheDocument()
    expect(document.activeElement).toBe(tree().element())
  })

  test('keeps what was typed when the host refuses it, with the reason at the field', async () => {
    await openOne(fakeMachine('old name'))
    window.host.failures.set('machines.update', {
      code: 'already-exists',
      message: 'There is already a machine named “taken”.',
      details: { fields: [{ path: 'name', message: 'There is already a machine named “taken”.' }] },
    })
    await userEvent.keyboard('{F2}')
    const field = page.getByRole('textbox', { name: 'Name', exact: true })
    await field.fill('taken')
    await userEvent.keyboard('{Enter}')
    await expect.element(field).toHaveAccessibleDescription('There is already a machine named “taken”.')
    await expect.element(field).toHaveValue('taken')
  })

  test('opens a menu for the machine under the pointer', async () => {
    window = await openWindow({ machines: [fakeMachine('one'), fakeMachine('two', { state: 'running' })] })
    await row('two').click({ button: 'right' })
    await expect.element(page.getByRole('menuitem', { name: /^Suspend/ })).not.toHaveAttribute('data-disabled')
    await expect.element(page.getByRole('menuitem', { name: /^Start/ })).toHaveAttribute('data-disabled')
    await page.getByRole('menuitem', { name: /^Pause/ }).click()
    await expect.element(row('two')).toHaveTextContent('Paused')
  })

  test('says why it could not be read, and tries again', async () => {
    window = await openWindow({ machines: [fakeMachine('one')] })
    await expect.element(row('one')).toBeVisible()
    window.host.failures.set('machines.list', { code: 'denied', message: 'Reading the library failed: you have no permission for it.' })
    await window.win.library.load()
    await expect.element(page.getByRole('alert')).toHaveTextContent('you have no permission')
    window.host.failures.clear()
    await page.getByRole('button', { name: 'Try again' }).click()
    await expect.element(row('one')).toBeVisible()
  })
})
