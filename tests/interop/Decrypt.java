// Opens CMS messages with Bouncy Castle: java -cp … Decrypt.java KEY CERTIFICATE {MESSAGE OUT}…
// For each message one line: "opened", or "refused" and the reason.

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import org.bouncycastle.asn1.cms.ContentInfo;
import org.bouncycastle.cms.CMSAuthEnvelopedData;
import org.bouncycastle.cms.CMSEnvelopedDataParser;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.RecipientInformationStore;
import org.bouncycastle.cms.jcajce.JceKeyTransAuthEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransRecipientId;
import org.bouncycastle.jce.provider.BouncyCastleProvider;

public final class Decrypt {
    private static final String AUTH_ENVELOPED_DATA = "1.2.840.113549.1.9.16.1.23";

    public static void main(String[] words) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        byte[] pkcs8 = undressed(Files.readAllBytes(Path.of(words[0])));
        PrivateKey key =
            KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(pkcs8));
        X509Certificate certificate;
        try (InputStream file = Files.newInputStream(Path.of(words[1]))) {
            certificate =
                (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(file);
        }
        for (int at = 2; at < words.length; at += 2) {
            try {
                byte[] message = undressed(Files.readAllBytes(Path.of(words[at])));
                Files.write(Path.of(words[at + 1]), content(message, key, certificate));
                System.out.println("opened");
            } catch (Exception error) {
                System.out.println("refused: " + error);
            }
        }
    }

    private static byte[] content(byte[] message, PrivateKey key, X509Certificate certificate)
            throws Exception {
        JceKeyTransRecipientId id = new JceKeyTransRecipientId(certificate);
        String kind = ContentInfo.getInstance(message).getContentType().getId();
        if (kind.equals(AUTH_ENVELOPED_DATA)) {
            CMSAuthEnvelopedData data = new CMSAuthEnvelopedData(new ByteArrayInputStream(message));
            return ours(data.getRecipientInfos(), id)
                .getContent(new JceKeyTransAuthEnvelopedRecipient(key).setProvider("BC"));
        }
        CMSEnvelopedDataParser data = new CMSEnvelopedDataParser(message);
        return ours(data.getRecipientInfos(), id)
            .getContentStream(new JceKeyTransEnvelopedRecipient(key).setProvider("BC"))
            .getContentStream()
            .readAllBytes();
    }

    private static RecipientInformation ours(
            RecipientInformationStore recipients, JceKeyTransRecipientId id) {
        return recipients.getRecipients(id).iterator().next();
    }

    /** Takes off the lines of PEM or the header of S/MIME, and decodes base64. */
    private static byte[] undressed(byte[] file) {
        String text = new String(file, StandardCharsets.ISO_8859_1);
        String body;
        if (text.startsWith("-----BEGIN")) {
            body = text.replaceAll("-----[^-]*-----", "");
        } else if (text.startsWith("MIME-Version")) {
            body = text.substring(text.indexOf("\n\n"));
        } else {
            return file;
        }
        return Base64.getMimeDecoder().decode(body);
    }
}
