import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { page, userEvent } from 'vitest/browser'
import { Shells } from '../../src-renderer/pages/terminal/shells.svelte.ts'
import TerminalPage from '../../src-renderer/pages/terminal/TerminalPage.svelte'
import type { WindowState } from '../../src-renderer/state/window-state.svelte.ts'
import { AppError } from '../../src-shared/errors/app-error.ts'
import { FakeHost } from './support/fake-host.ts'
import { connected, show as showPart } from './support/show.ts'

let host: FakeHost
let state: WindowState

const show = (): ReturnType<typeof showPart<Record<string, never>>> => showPart(state, TerminalPage, {})
function screen(): string {
  const buffer = state.part(Shells).chosen!.core.terminal.buffer.active
  return Array.from({ length: buffer.length }, (_, at) => buffer.getLine(at)!.translateToString(true))
    .join('\n')
    .trimEnd()
}

beforeEach(async () => {
  await page.viewport(1000, 600)
  host = new FakeHost({ info: { features: { terminal: true } } })
})
afterEach(() => state.dispose())

describe('the host terminal', () => {
  test('opens a shell in the page’s size, and types into it', async () => {
    state = await connected(host)
    await show()
    await expect.poll(() => host.terminals.length).toBe(1)
    await expect.poll(() => host.terminals[0]!.size.cols).toBeGreaterThan(100)
    host.terminals[0]!.print('$ ')
    await expect.poll(() => screen()).toBe('$')
    await userEvent.keyboard('ls{Enter}')
    await expect.poll(() => host.terminals[0]!.typed).toBe('ls\r')
    const before = host.terminals[0]!.size.cols
    await page.viewport(1300, 700)
    await expect.poll(() => host.terminals[0]!.size.cols).toBeGreaterThan(before)
  })

  test('several tabs, kept when the page is left', async () => {
    state = await connected(host)
    const view = await show()
    await expect.poll(() => host.terminals.length).toBe(1)
    await page.getByRole('button', { name: 'New terminal' }).click()
    await expect.poll(() => host.terminals.length).toBe(2)
    host.terminals[1]!.print('second')
    await expect.poll(() => screen()).toBe('second')
    await view.close()
    expect(host.terminals.map(({ closed }) => closed)).toEqual([false, false])
    await show()
    await expect.poll(() => screen()).toBe('second')
    await page.getByRole('tab', { name: 'bash 1' }).click()
    await userEvent.keyboard('x')
    await expect.poll(() => host.terminals[0]!.typed).toBe('x')
  })

  test('the end of a shell is shown, and a new one is offered', async () => {
    state = await connected(host)
    await show()
    await expect.poll(() => host.terminals.length).toBe(1)
    host.terminals[0]!.print('bye')
    host.terminals[0]!.exit()
    await expect.element(page.getByText('This shell has ended.')).toBeVisible()
    await expect.poll(() => screen()).toBe('bye\n— The shell has ended. —')
    await page.getByRole('button', { name: 'New shell' }).click()
    await expect.poll(() => host.terminals.length).toBe(2)
  })

  test('closing a running shell asks, and ends it', async () => {
    state = await connected(host)
    await show()
    await expect.element(page.getByRole('tab', { name: 'bash 1' })).toBeVisible()
    await page.getByRole('button', { name: 'Close bash 1' }).click()
    await page.getByRole('button', { name: 'Close', exact: true }).last().click()
    await expect.poll(() => host.terminals[0]!.closed).toBe(true)
  })

  test('a shell that could not be opened says why, and can be tried again', async () => {
    host.failures.set('terminals.open', new AppError('unavailable', 'node-pty could not start /bin/bash.').toWire())
    state = await connected(host)
    await show()
    await expect.element(page.getByText('node-pty could not start /bin/bash.')).toBeVisible()
    host.failures.clear()
    await page.getByRole('button', { name: 'Try again' }).click()
    await expect.poll(() => host.terminals.length).toBe(1)
  })
})
