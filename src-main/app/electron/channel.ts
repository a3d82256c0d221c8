/** The one word between the preload script, the page and the main process: "here is the port to the host". */
export const WIRE_CHANNEL = 'coppice-wire'
