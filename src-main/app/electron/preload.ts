/**
 * All that the preload script does: make a channel, give one end to the main process and the other to the page. The page gets a wire, no functions
 * of Electron. Scripts of the page have run when the document is parsed, so that their listener is there.
 */
import { ipcRenderer } from 'electron'
import { WIRE_CHANNEL } from './channel.ts'

window.addEventListener(
  'DOMContentLoaded',
  () => {
    const { port1, port2 } = new MessageChannel()
    ipcRenderer.postMessage(WIRE_CHANNEL, null, [port1])
    window.postMessage(WIRE_CHANNEL, '*', [port2])
  },
  { once: true },
)
