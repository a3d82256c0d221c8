import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { page, userEvent } from 'vitest/browser'
import ConsoleTab from '../../src-renderer/pages/machine/console/ConsoleTab.svelte'
import type { WindowState } from '../../src-renderer/state/window-state.svelte.ts'
import { ConsoleShelf } from '../../src-renderer/terminal/console-shelf.ts'
import type { MachineView } from '../../src-shared/api/machines.ts'
import { WINDOW } from '../../src-shared/rpc/byte-stream.ts'
import { FakeHost } from './support/fake-host.ts'
import { fakeMachine } from './support/fake-objects.ts'
import { connected, show as showPart } from './support/show.ts'

let host: FakeHost
let state: WindowState
let machine: MachineView

function show(): ReturnType<typeof showPart<{ machine: MachineView }>> {
  return showPart(state, ConsoleTab, { machine })
}

/** What the terminal of a port holds: its lines, without the empty ones at the end. */
function screen(port = 0): string {
  const { terminal } = state.part(ConsoleShelf).take(machine, port).core
  const buffer = terminal.buffer.active
  const lines: string[] = []
  for (let at = 0; at < buffer.length; at++) lines.push(buffer.getLine(at)!.translateToString(true))
  return lines.join('\n').trimEnd()
}

beforeEach(async () => {
  await page.viewport(1000, 600)
  host = new FakeHost()
  machine = host.put(fakeMachine('web-1', { state: 'running' }))
  state = await connected(host)
})
afterEach(() => state.dispose())

describe('the console tab', () => {
  test('shows what was printed before it opened, takes the focus, and types into the guest', async () => {
    host.console(machine.id).print('Welcome to Coppice Linux\r\n~ # ')
    await show()
    await expect.poll(() => screen()).toBe('Welcome to Coppice Linux\n~ #')
    await expect.poll(() => document.activeElement?.getAttribute('aria-label')).toBe('Console of web-1, port ttyS0')
    await userEvent.keyboard('uname -a{Enter}{Escape}')
    await expect.poll(() => host.console(machine.id).typed).toBe('uname -a\r\u001b')
  })

  test('a character split between two chunks stays whole', async () => {
    await show()
    const fake = host.console(machine.id)
    await expect.poll(() => fake.readers.size).toBe(1)
    const bytes = new TextEncoder().encode('grün ✓ 木')
    for (const byte of bytes) {
      fake.print(Uint8Array.of(byte))
      await new Promise((resolve) => setTimeout(resolve))
    }
    await expect.poll(() => screen()).toBe('grün ✓ 木')
  })

  test('closed and reopened it goes on without loss, and what was hidden cost nothing', async () => {
    const first = await show()
    const fake = host.console(machine.id)
    fake.print('one\r\n')
    await expect.poll(() => screen()).toBe('one')
    await first.close()
    await expect.poll(() => fake.readers.size).toBe(0)
    fake.print('two\r\n')
    await show()
    fake.print('three\r\n')
    await expect.poll(() => screen()).toBe('one\ntwo\nthree')
    expect(fake.opened).toBe(2)
  })

  test('questions in old output are not answered into the guest; new ones are', async () => {
    const fake = host.console(machine.id)
    fake.print('\u001b[6n\u001b[c')
    await show()
    await expect.poll(() => fake.readers.size).toBe(1)
    fake.print('now \u001b[6n')
    await expect.poll(() => fake.typed).toBe('\u001b[1;5R')
  })

  test('a broken wire is said, and the console goes on by itself when it is back', async () => {
    await show()
    const fake = host.console(machine.id)
    fake.print('before\r\n')
    await expect.poll(() => screen()).toBe('before')
    host.cut()
    await expect.element(page.getByText('The connection to Coppice was lost.', { exact: false })).toBeVisible()
    fake.print('after\r\n')
    await expect.poll(() => screen()).toBe('before\nafter')
    await expect.element(page.getByText('The connection to Coppice was lost.', { exact: false })).not.toBeInTheDocument()
  })

  test('a machine that is off keeps its last output and offers to start', async () => {
    host.console(machine.id).print('Power down.\r\n')
    host.console(machine.id).stop()
    machine = host.put({ ...machine, state: 'off', startedAt: null, bootedAt: null })
    const view = await show()
    await expect.element(page.getByText('The machine is off. Start it to use the console.')).toBeVisible()
    await expect.poll(() => screen()).toBe('Power down.')
    host.console(machine.id).start('life-2')
    host.console(machine.id).print('second boot\r\n')
    await page.getByRole('button', { name: 'Start' }).click()
    expect(host.calls).toContain('machines.start')
    machine = host.machines.get(machine.id)!
    await view.change({ machine })
    await expect.poll(() => screen()).toBe('Power down.\n— The machine was started. —\nsecond boot')
    await expect.element(page.getByText('The machine is off.', { exact: false })).not.toBeInTheDocument()
    await userEvent.keyboard('id{Enter}')
    await expect.poll(() => host.console(machine.id).typed).toBe('id\r')
  })

  test('a reset is noted where it happened', async () => {
    await show()
    const fake = host.console(machine.id)
    fake.print('up\r\n')
    await expect.poll(() => screen()).toBe('up')
    host.put({ ...machine, bootedAt: null })
    await expect.poll(() => screen()).toBe('up\n— The machine was reset. —')
  })

  test('several ports, each with its own output', async () => {
    machine = host.put(fakeMachine('web-1', { id: machine.id, state: 'running' }, { serialPorts: 2 }))
    host.console(machine.id, 0).print('zero')
    host.console(machine.id, 1).print('one')
    await show()
    await expect.poll(() => screen(0)).toBe('zero')
    await page.getByRole('button', { name: 'ttyS1' }).click()
    await expect.poll(() => screen(1)).toBe('one')
    await userEvent.keyboard('x')
    await expect.poll(() => host.console(machine.id, 1).typed).toBe('x')
    expect(host.console(machine.id, 0).typed).toBe('')
  })

  test('a flood does not fill the memory: the guest waits for the terminal', async () => {
    await show()
    const fake = host.console(machine.id)
    await expect.poll(() => fake.readers.size).toBe(1)
    const [reader] = [...fake.readers]
    const line = new TextEncoder().encode(`${'y'.repeat(78)}\r\n`)
    const chunk = new Uint8Array(line.length * 800)
    for (let at = 0; at < 800; at++) chunk.set(line, at * line.length)
    let sent = 0
    for (let at = 0; at < 64; at++) {
      await reader!.write(chunk)
      sent += chunk.length
    }
    expect(sent).toBeGreaterThan(10 * WINDOW)
    await reader!.write(new TextEncoder().encode('the end'))
    await expect.poll(() => screen().endsWith('the end'), { timeout: 15_000 }).toBe(true)
  })

  test('a paste of several lines is shown before it is typed', async () => {
    await show()
    const fake = host.console(machine.id)
    await expect.poll(() => fake.readers.size).toBe(1)
    paste('echo one\necho two\n')
    await expect.element(page.getByRole('dialog', { name: 'Paste 2 lines?' })).toBeVisible()
    await expect.element(page.getByText('echo two')).toBeVisible()
    expect(fake.typed).toBe('')
    await page.getByRole('button', { name: 'Paste', exact: true }).click()
    await expect.poll(() => fake.typed).toBe('echo one\recho two\r')
    paste('harmless')
    await expect.poll(() => fake.typed).toBe('echo one\recho two\rharmless')
  })

  test('a pasted end of a bracketed paste is not let through', async () => {
    await show()
    const fake = host.console(machine.id)
    fake.print('\u001b[?2004h')
    await expect.poll(() => fake.readers.size).toBe(1)
    await expect.poll(() => state.part(ConsoleShelf).take(machine, 0).core.terminal.modes.bracketedPasteMode).toBe(true)
    paste('a\u001b[201~b')
    await expect.poll(() => fake.typed).toBe('\u001b[200~a[201~b\u001b[201~')
  })

  test('search counts what it finds, and Escape comes back to the guest', async () => {
    await show()
    const fake = host.console(machine.id)
    fake.print('alpha beta\r\nalpha\r\ngamma alpha\r\n')
    await expect.poll(() => screen()).toContain('gamma')
    await userEvent.keyboard('{Control>}{Shift>}F{/Shift}{/Control}')
    await page.getByRole('textbox', { name: 'Search in the terminal' }).fill('alpha')
    await expect.element(page.getByText('1 of 3')).toBeVisible()
    await userEvent.keyboard('{Enter}')
    await expect.element(page.getByText('2 of 3')).toBeVisible()
    await userEvent.keyboard('{Shift>}{Enter}{/Shift}')
    await expect.element(page.getByText('1 of 3')).toBeVisible()
    await userEvent.keyboard('{Escape}')
    await userEvent.keyboard('q')
    await expect.poll(() => fake.typed).toBe('q')
  })

  test('the font size follows its keys and is kept as a setting', async () => {
    await show()
    await expect.poll(() => host.console(machine.id).readers.size).toBe(1)
    await userEvent.keyboard('{Control>}={/Control}')
    await userEvent.keyboard('{Control>}={/Control}')
    await expect.poll(() => host.settings.consoleFontSize).toBe(15)
    await expect.poll(() => state.part(ConsoleShelf).take(machine, 0).core.terminal.options.fontSize).toBe(15)
    await userEvent.keyboard('{Control>}0{/Control}')
    await expect.poll(() => host.settings.consoleFontSize).toBe(13)
    expect(host.console(machine.id).typed).toBe('')
  })

  test('colours follow the theme', async () => {
    await show()
    const { terminal } = state.part(ConsoleShelf).take(machine, 0).core
    await state.settings.set({ theme: 'dark' })
    await expect.poll(() => terminal.options.theme?.background).toBe('#11130f')
    await state.settings.set({ theme: 'light' })
    await expect.poll(() => terminal.options.theme?.background).toBe('#fbfbf9')
  })
})

function paste(text: string): void {
  const clipboardData = new DataTransfer()
  clipboardData.setData('text/plain', text)
  document.activeElement!.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }))
}
