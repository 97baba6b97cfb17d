//! One certificate authority per cluster and what it signs.

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The authority, its folder and everything signed by it.
pub(crate) struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes `ca.crt`, and `sa.key` with `sa.pub` for service account tokens.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("{} can't be made", folder.display()))?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "spread-e2e");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let certificate = params.self_signed(&key)?;
        fs::write(folder.join("ca.crt"), certificate.pem())?;
        let tokens = KeyPair::generate()?;
        write_key(&folder.join("sa.key"), &tokens)?;
        fs::write(folder.join("sa.pub"), tokens.public_key_pem())?;
        Ok(Self { folder: folder.to_owned(), issuer: Issuer::new(params, key) })
    }

    /// Path of a file in the folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Signs `NAME.crt` for a client and server; `names` are host names and addresses.
    pub(crate) fn sign(&self, name: &str, user: &str, group: &str, names: &[String]) -> Result<()> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, user);
        params.distinguished_name.push(DnType::OrganizationName, group);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;
        fs::write(self.file(&format!("{name}.crt")), certificate.pem())?;
        write_key(&self.file(&format!("{name}.key")), &key)
    }
}

fn write_key(path: &Path, key: &KeyPair) -> Result<()> {
    use std::io::Write as _;
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(key.serialize_pem().as_bytes())?;
    Ok(())
}
