// Seals contents with Bouncy Castle: java -cp … Encrypt.java CERTIFICATE… < ORDERS
// An order is a line: CONTENT MESSAGE CIPHER TRANSPORT IDENTIFIER ENCODING FORM, such as
//   in out AES256_GCM SHA-256 keyid der pem
// TRANSPORT is PKCS1v15, or the hash of OAEP. ENCODING is der; ber, of indefinite lengths; attributes,
// which is der with authenticated attributes; or stream:SIZE or streamber:SIZE, the latter with the
// recipients in BER too, whose octet strings have SIZE bytes.

import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.MGF1ParameterSpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Hashtable;
import java.util.List;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.DEROctetString;
import org.bouncycastle.asn1.DERSet;
import org.bouncycastle.asn1.cms.Attribute;
import org.bouncycastle.asn1.cms.AttributeTable;
import org.bouncycastle.asn1.cms.ContentInfo;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.cert.jcajce.JcaX509ExtensionUtils;
import org.bouncycastle.cms.CMSAlgorithm;
import org.bouncycastle.cms.CMSAuthEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSEnvelopedDataStreamGenerator;
import org.bouncycastle.cms.CMSEnvelopedGenerator;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.SimpleAttributeTableGenerator;
import org.bouncycastle.cms.jcajce.JceCMSContentEncryptorBuilder;
import org.bouncycastle.cms.jcajce.JceKeyTransRecipientInfoGenerator;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.OutputAEADEncryptor;
import org.bouncycastle.operator.OutputEncryptor;
import org.bouncycastle.operator.jcajce.JcaAlgorithmParametersConverter;

public final class Encrypt {
    private static final ASN1ObjectIdentifier SOME_ATTRIBUTE = new ASN1ObjectIdentifier("1.2.3.4");

    public static void main(String[] words) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        List<X509Certificate> certificates = new ArrayList<>();
        for (String word : words) {
            try (InputStream file = Files.newInputStream(Path.of(word))) {
                certificates.add((X509Certificate)
                    CertificateFactory.getInstance("X.509").generateCertificate(file));
            }
        }
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = orders.readLine()) != null; ) {
            String[] order = line.split(" ");
            byte[] content = Files.readAllBytes(Path.of(order[0]));
            List<JceKeyTransRecipientInfoGenerator> recipients = new ArrayList<>();
            for (X509Certificate certificate : certificates) {
                recipients.add(recipient(certificate, order[3], order[4].equals("keyid")));
            }
            byte[] message = sealed(content, encryptor(order[2]), recipients, order[5]);
            Files.write(Path.of(order[1]), dressed(message, order[6]));
        }
    }

    private static OutputEncryptor encryptor(String cipher) throws Exception {
        ASN1ObjectIdentifier oid =
            (ASN1ObjectIdentifier) CMSAlgorithm.class.getField(cipher).get(null);
        return new JceCMSContentEncryptorBuilder(oid).setProvider("BC").build();
    }

    private static JceKeyTransRecipientInfoGenerator recipient(
            X509Certificate certificate, String transport, boolean byKeyIdentifier)
            throws Exception {
        byte[] identifier = new JcaX509ExtensionUtils()
            .createSubjectKeyIdentifier(certificate.getPublicKey()).getKeyIdentifier();
        if (transport.equals("PKCS1v15")) {
            return byKeyIdentifier
                ? new JceKeyTransRecipientInfoGenerator(identifier, certificate.getPublicKey())
                : new JceKeyTransRecipientInfoGenerator(certificate);
        }
        var oaep = new JcaAlgorithmParametersConverter().getAlgorithmIdentifier(
            PKCSObjectIdentifiers.id_RSAES_OAEP,
            new OAEPParameterSpec(
                transport, "MGF1", new MGF1ParameterSpec(transport), PSource.PSpecified.DEFAULT));
        return byKeyIdentifier
            ? new JceKeyTransRecipientInfoGenerator(identifier, oaep, certificate.getPublicKey())
            : new JceKeyTransRecipientInfoGenerator(certificate, oaep);
    }

    private static byte[] sealed(
            byte[] content,
            OutputEncryptor encryptor,
            List<JceKeyTransRecipientInfoGenerator> recipients,
            String encoding)
            throws Exception {
        if (encoding.startsWith("stream")) {
            return streamed(content, encryptor, recipients, encoding);
        }
        CMSProcessableByteArray data = new CMSProcessableByteArray(content);
        ContentInfo message;
        if (encryptor instanceof OutputAEADEncryptor) {
            CMSAuthEnvelopedDataGenerator generator = new CMSAuthEnvelopedDataGenerator();
            if (encoding.equals("attributes")) {
                generator.setAuthenticatedAttributeGenerator(
                    new SimpleAttributeTableGenerator(attributes()));
            }
            message = forAll(generator, recipients)
                .generate(data, (OutputAEADEncryptor) encryptor).toASN1Structure();
        } else {
            message = forAll(new CMSEnvelopedDataGenerator(), recipients)
                .generate(data, encryptor).toASN1Structure();
        }
        return message.getEncoded(encoding.equals("ber") ? "BER" : "DER");
    }

    private static byte[] streamed(
            byte[] content,
            OutputEncryptor encryptor,
            List<JceKeyTransRecipientInfoGenerator> recipients,
            String encoding)
            throws Exception {
        String[] parts = encoding.split(":");
        CMSEnvelopedDataStreamGenerator generator =
            forAll(new CMSEnvelopedDataStreamGenerator(), recipients);
        generator.setBEREncodeRecipients(parts[0].equals("streamber"));
        generator.setBufferSize(Integer.parseInt(parts[1]));
        ByteArrayOutputStream message = new ByteArrayOutputStream();
        try (OutputStream stream = generator.open(message, encryptor)) {
            stream.write(content);
        }
        return message.toByteArray();
    }

    private static <G extends CMSEnvelopedGenerator> G forAll(
            G generator, List<JceKeyTransRecipientInfoGenerator> recipients) {
        recipients.forEach(generator::addRecipientInfoGenerator);
        return generator;
    }

    private static AttributeTable attributes() {
        Hashtable<ASN1ObjectIdentifier, Attribute> table = new Hashtable<>();
        DERSet values = new DERSet(new DEROctetString(new byte[100]));
        table.put(SOME_ATTRIBUTE, new Attribute(SOME_ATTRIBUTE, values));
        return new AttributeTable(table);
    }

    /** Writes a message as Bouncy Castle's own writers of S/MIME and PEM would. */
    private static byte[] dressed(byte[] message, String form) {
        String head;
        String tail;
        int width;
        switch (form) {
            case "der":
                return message;
            case "pem":
                head = "-----BEGIN CMS-----\n";
                tail = "\n-----END CMS-----\n";
                width = 64;
                break;
            default:
                head = "Content-Type: application/pkcs7-mime; name=\"smime.p7m\";\r\n"
                    + "\tsmime-type=enveloped-data\r\n"
                    + "Content-Transfer-Encoding: base64\r\n"
                    + "Content-Disposition: attachment; filename=\"smime.p7m\"\r\n"
                    + "Content-Description: S/MIME Encrypted Message\r\n\r\n";
                tail = "\r\n";
                width = 76;
        }
        byte[] end = form.equals("pem") ? new byte[] {'\n'} : new byte[] {'\r', '\n'};
        String body = Base64.getMimeEncoder(width, end).encodeToString(message);
        return (head + body + tail).getBytes(StandardCharsets.US_ASCII);
    }
}
