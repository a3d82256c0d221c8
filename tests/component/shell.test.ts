import { afterEach, describe, expect, test } from 'vitest'
import { page, userEvent } from 'vitest/browser'
import { fakeMachine, fakeTask } from './support/fake-objects.ts'
import { openWindow, type OpenWindow } from './support/open-window.ts'

let window: OpenWindow
afterEach(() => window.close())

const heading = (name: string) => page.getByRole('heading', { level: 1, name, exact: true })

describe('the palette', () => {
  test('opens with Ctrl+K, finds an action by a few letters, runs it, and remembers it', async () => {
    window = await openWindow({ machines: [fakeMachine('web', { state: 'running' })] })
    await expect.element(heading('web')).toBeVisible()
    await userEvent.keyboard('{Control>}k{/Control}')
    await userEvent.keyboard('susp')
    await expect.element(page.getByRole('option').first()).toHaveTextContent('Suspend')
    await userEvent.keyboard('{Enter}')
    await expect.poll(() => window.host.calls).toContain('machines.suspend')
    await expect.element(page.getByRole('combobox', { name: 'Command or machine' })).not.toBeInTheDocument()
    expect(localStorage.getItem('coppice.recent-commands')).toBe('["machine.suspend"]')
  })

  test('goes to machines, and shows shortcuts beside actions', async () => {
    window = await openWindow({ machines: [fakeMachine('alpha'), fakeMachine('omega')] })
    await expect.element(heading('alpha')).toBeVisible()
    await userEvent.keyboard('{Control>}k{/Control}')
    await expect.element(page.getByRole('option').filter({ hasText: 'New machine…' })).toHaveTextContent('Ctrl+Shift+M')
    await userEvent.keyboard('omega{Enter}')
    await expect.element(heading('omega')).toBeVisible()
  })

  test('says when nothing matches, and closes with Escape', async () => {
    window = await openWindow()
    await expect.element(page.getByText('No machines yet')).toBeVisible()
    await userEvent.keyboard('{Control>}k{/Control}')
    await userEvent.keyboard('qqqq')
    await expect.element(page.getByText('Nothing matches “qqqq”.')).toBeVisible()
    await userEvent.keyboard('{Escape}')
    await expect.element(page.getByRole('dialog')).not.toBeInTheDocument()
  })
})

describe('the keyboard', () => {
  test('goes to machines by number and shows its help with a question mark', async () => {
    window = await openWindow({ machines: [fakeMachine('alpha'), fakeMachine('beta')] }, '#/doctor')
    await expect.element(heading('Doctor')).toBeVisible()
    await userEvent.keyboard('{Control>}2{/Control}')
    await expect.element(heading('beta')).toBeVisible()
    await userEvent.keyboard('{Control>},{/Control}')
    await expect.element(heading('Settings')).toBeVisible()
    await userEvent.keyboard('?')
    await expect.element(page.getByRole('dialog', { name: 'Keyboard shortcuts' })).toHaveTextContent('Ctrl+Shift+M')
  })

  test('types a question mark where one is typed', async () => {
    window = await openWindow()
    await page.getByRole('searchbox', { name: 'Find a machine' }).click()
    await userEvent.keyboard('?')
    await expect.element(page.getByRole('searchbox', { name: 'Find a machine' })).toHaveValue('?')
    await expect.element(page.getByRole('dialog')).not.toBeInTheDocument()
  })

  test('hides the sidebar and finds it again', async () => {
    window = await openWindow({}, '#/settings')
    await expect.element(heading('Settings')).toBeVisible()
    await userEvent.keyboard('{Control>}{Shift>}b{/Shift}{/Control}')
    await expect.element(page.getByRole('navigation')).not.toBeInTheDocument()
    await userEvent.keyboard('{Control>}{Shift>}l{/Shift}{/Control}')
    await expect.element(page.getByRole('searchbox', { name: 'Find a machine' })).toHaveFocus()
  })

  test('makes the sidebar wider, and keeps the width', async () => {
    window = await openWindow()
    const edge = page.getByRole('separator', { name: 'Width of the sidebar' })
    const before = Number(edge.element().getAttribute('aria-valuenow'))
    ;(edge.element() as HTMLElement).focus()
    await userEvent.keyboard('{ArrowRight}{ArrowRight}')
    const after = Number(edge.element().getAttribute('aria-valuenow'))
    expect(after).toBeGreaterThan(before)
    expect(localStorage.getItem('coppice.sidebar-width')).toBe(String(after))
  })
})

describe('a lost connection', () => {
  test('is said calmly, the page stays, and what changed meanwhile is there when it is back', async () => {
    const web = fakeMachine('web')
    window = await openWindow({ machines: [web] }, '#/doctor')
    await expect.element(heading('Doctor')).toBeVisible()
    window.host.reachable = false
    window.host.cut()
    await expect.element(page.getByText('Connection to Coppice lost. Trying again…')).toBeVisible()
    await expect.element(heading('Doctor')).toBeVisible()
    window.host.machines.set(web.id, { ...web, state: 'crashed' })
    window.host.machines.set('other', fakeMachine('made by another window', { id: 'other' }))
    window.host.reachable = true
    await expect.element(page.getByText('Connection to Coppice lost. Trying again…')).not.toBeInTheDocument()
    await expect.element(page.getByRole('treeitem').filter({ hasText: 'web' })).toHaveTextContent('Crashed')
    await expect.element(page.getByRole('treeitem').filter({ hasText: 'made by another window' })).toBeVisible()
  })

  test('a host that came back with another token is said, and tried again when asked', async () => {
    window = await openWindow({ machines: [fakeMachine('web')] }, '#/doctor')
    await expect.element(heading('Doctor')).toBeVisible()
    window.host.refuses = true
    window.host.cut()
    await expect.element(page.getByText(/this page’s access ended/)).toBeVisible()
    const tryAgain = page.getByRole('button', { name: 'Try again' })
    await tryAgain.click()
    await expect.element(page.getByText(/still refuses this page/)).toBeVisible()
    window.host.refuses = false
    await tryAgain.click()
    await expect.element(tryAgain).not.toBeInTheDocument()
    await expect.element(page.getByRole('treeitem').filter({ hasText: 'web' })).toBeVisible()
  })
})

describe('the pages', () => {
  test('activity shows work, its progress and its end, and clears', async () => {
    const task = fakeTask({ title: 'Copying a disk', step: 'Copying disk0.img', progress: { done: 1, total: 2, unit: 'steps' } })
    window = await openWindow({ tasks: [task] }, '#/activity')
    await expect.element(page.getByRole('main').getByRole('progressbar', { name: 'Copying a disk' })).toHaveAttribute('aria-valuenow', '50')
    await page.getByRole('main').getByRole('button', { name: 'Cancel' }).click()
    await expect.element(page.getByText('Cancelled', { exact: true })).toBeVisible()
    await page.getByRole('button', { name: 'Clear ended' }).click()
    await expect.element(page.getByText('Nothing is going on')).toBeVisible()
  })

  test('activity does anew what failed, and what failed gives way to it', async () => {
    const error = { code: 'no-space' as const, message: 'The disk is full.' }
    const failed = fakeTask({ title: 'Importing “web”', state: 'failed', endedAt: new Date().toISOString(), error, restartable: true })
    window = await openWindow(
      { tasks: [failed, fakeTask({ title: 'Deleting', state: 'cancelled', endedAt: failed.endedAt })] },
      '#/activity',
    )
    await expect.element(page.getByText('The disk is full.')).toBeVisible()
    await page.getByRole('button', { name: 'Try again' }).click()
    await expect.element(page.getByRole('main').getByRole('progressbar', { name: 'Importing “web”' })).toBeVisible()
    await expect.element(page.getByText('The disk is full.')).not.toBeInTheDocument()
    await expect.element(page.getByRole('button', { name: 'Try again' })).not.toBeInTheDocument()
  })

  test('the doctor says what was found in words, with advice', async () => {
    window = await openWindow(
      {
        doctor: {
          at: new Date().toISOString(),
          summary: 'This computer can run machines, slowly.',
          checks: [
            { id: 'a', group: 'engines', title: 'Embedded engine', state: 'ok', detail: 'It runs.', advice: null },
            { id: 'b', group: 'host', title: 'Space', state: 'problem', detail: '1 MiB left.', advice: 'Free some space.' },
          ],
        },
      },
      '#/doctor',
    )
    await expect.element(page.getByText('This computer can run machines, slowly.')).toBeVisible()
    await expect.element(page.getByText('Problem', { exact: true })).toBeVisible()
    await expect.element(page.getByText('Free some space.')).toBeVisible()
    window.host.failures.set('system.doctor', { code: 'io', message: 'The examination failed unexpectedly.' })
    await page.getByRole('button', { name: 'Examine again' }).click()
    await expect.element(page.getByRole('alert')).toHaveTextContent('The examination failed unexpectedly.')
    await expect.element(page.getByText('Free some space.')).toBeVisible()
  })

  test('settings are kept as they are made, and refused at their field', async () => {
    window = await openWindow({}, '#/settings')
    await page.getByLabelText('Theme').click()
    await page.getByRole('option', { name: 'Dark' }).click()
    await expect.poll(() => document.documentElement.dataset['theme']).toBe('dark')
    await expect.poll(() => window.host.settings.theme).toBe('dark')
    const size = page.getByRole('spinbutton', { name: 'Font size' })
    await size.fill('400')
    await userEvent.keyboard('{Enter}')
    await expect.element(size).toHaveAttribute('aria-invalid', 'true')
    await size.fill('16')
    await userEvent.keyboard('{Enter}')
    await expect.poll(() => window.host.settings.consoleFontSize).toBe(16)
    await expect.element(size).not.toHaveAttribute('aria-invalid')
    // Closing with machines running is the desktop shell's affair.
    await expect.element(page.getByText('While machines run')).not.toBeInTheDocument()
  })

  test('another window’s settings arrive by themselves', async () => {
    window = await openWindow({}, '#/settings')
    await expect.element(heading('Settings')).toBeVisible()
    window.host.settingsChanged.fire({ ...window.host.settings, theme: 'dark' })
    await expect.poll(() => document.documentElement.dataset['theme']).toBe('dark')
  })
})
