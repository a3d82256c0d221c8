/** The whole window over a fake library. */
import '../../../src-renderer/ui/tokens.css'
import '../../../src-renderer/ui/base.css'
import { render } from 'vitest-browser-svelte'
import { page } from 'vitest/browser'
import App from '../../../src-renderer/App.svelte'
import { HostLink } from '../../../src-renderer/client/host-link.ts'
import { WindowState } from '../../../src-renderer/state/window-state.svelte.ts'
import { asking } from '../../../src-renderer/ui/ask.svelte.ts'
import { toasts } from '../../../src-renderer/ui/toasts.svelte.ts'
import { FakeLibrary, type FakeLibraryOptions } from './fake-library.ts'
import type { Wire } from '../../../src-shared/rpc/wire.ts'

export interface OpenWindow {
  host: FakeLibrary
  win: WindowState
  /** The wires break; whether the next dial succeeds is the caller's. */
  cut: () => void
  setReachable: (reachable: boolean) => void
  close: () => Promise<void>
}

/** @param hash where the window begins: "#/doctor" */
export async function openWindow(options: FakeLibraryOptions = {}, hash = '#/'): Promise<OpenWindow> {
  await page.viewport(1280, 800)
  localStorage.clear()
  location.hash = hash
  const host = new FakeLibrary(options)
  const wires: Wire[] = []
  let reachable = true
  const win = new WindowState(
    new HostLink(() => {
      if (!reachable) return Promise.reject(new Error('unreachable'))
      const wire = host.connect()
      wires.push(wire)
      return Promise.resolve(wire)
    }),
  )
  const view = await render(App, { props: { win } })
  win.start()
  return {
    host,
    win,
    cut: () => wires.splice(0).forEach((wire) => wire.close()),
    setReachable: (now) => (reachable = now),
    close: async () => {
      await view.unmount()
      asking.answer(false)
      for (const { id } of toasts.list) toasts.remove(id)
      win.dispose()
    },
  }
}
