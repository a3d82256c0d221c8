/** The whole window over a fake host. */
import '../../../src-renderer/ui/tokens.css'
import '../../../src-renderer/ui/base.css'
import { render } from 'vitest-browser-svelte'
import { page } from 'vitest/browser'
import App from '../../../src-renderer/App.svelte'
import { HostLink } from '../../../src-renderer/client/host-link.ts'
import { WindowState } from '../../../src-renderer/state/window-state.svelte.ts'
import { asking } from '../../../src-renderer/ui/ask.svelte.ts'
import { toasts } from '../../../src-renderer/ui/toasts.svelte.ts'
import { FakeHost, type FakeHostOptions } from './fake-host.ts'

export interface OpenWindow {
  host: FakeHost
  win: WindowState
  close: () => Promise<void>
}

/** @param hash where the window begins: "#/doctor" */
export async function openWindow(options: FakeHostOptions = {}, hash = '#/'): Promise<OpenWindow> {
  await page.viewport(1280, 800)
  localStorage.clear()
  location.hash = hash
  const host = new FakeHost(options)
  const win = new WindowState(new HostLink(host.connect))
  const view = await render(App, { props: { win } })
  win.start()
  return {
    host,
    win,
    close: async () => {
      await view.unmount()
      asking.answer(false)
      for (const { id } of toasts.list) toasts.remove(id)
      win.dispose()
    },
  }
}
