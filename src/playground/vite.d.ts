declare module "*?raw" {
  const source: string;
  export default source;
}

declare module "*?worker&url" {
  const url: string;
  export default url;
}

declare module "*?sharedworker&url" {
  const url: string;
  export default url;
}

interface ImportMetaEnv {
  readonly PROD: boolean;
}

interface ImportMeta {
  readonly env: ImportMetaEnv;
}
